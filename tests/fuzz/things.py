"""What there is: ids that are made up are of nothing, and what is behind a 404 would hardly be tried."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Mapping
from itertools import cycle
from typing import Any, Final
from uuid import UUID

from libs.contracts.features import Feature

_KEPT: Final = 3
"""Of each kind, the newest: what was made last was hardly deleted since."""
_LONGEST_FLAG: Final = 64
_COLLECTION: Final = re.compile(r"/api(?:/v1)?(/[^{]+)")


class Things:
    """Ids by the path that they were made at."""

    def __init__(self) -> None:
        self._made: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=_KEPT))
        self._flags = cycle(Feature)
        self._other = cycle((True, False, True))

    def remember(self, path: str, data: Any) -> None:
        """What a POST has answered."""
        one = next(iter(data.values()), None) if isinstance(data, Mapping) and len(data) == 1 else None
        if isinstance(one, Mapping) and isinstance(one.get("id"), str) and "{" not in path:
            self._made[_collection(path)].append(one["id"])

    def aim(self, path: str, parameters: dict[str, Any]) -> None:
        """Mostly at something that there is."""
        if not next(self._other):
            return
        if 0 < len(str(parameters.get("flag", ""))) <= _LONGEST_FLAG:
            parameters["flag"] = next(self._flags).value
        made = self._made[_collection(path)]
        if made and _is_id(parameters.get("id")):
            parameters["id"] = made[0]
            made.rotate()


def _collection(path: str) -> str:
    found = _COLLECTION.match(path)
    return "" if found is None else found[1].rstrip("/")


def _is_id(value: Any) -> bool:
    """What is no UUID is meant to be refused."""
    try:
        return isinstance(value, str) and str(UUID(value)) == value.lower()
    except ValueError:
        return False
