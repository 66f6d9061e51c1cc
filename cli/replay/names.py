"""Names from the logs: ids in what is shown to an operator become names."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from cli.replay.logs import open_logs
from libs.chassis.rebuild.history import History
from libs.contracts.erasure import ERASED, PersonErased
from libs.contracts.model import StillSealed

_NAMING: Final = ("auth", "escalation", "oncall", "incidents")
"""Whose logs name people, policies, schedules and integrations."""


class Names:
    """Looked up when first asked for, and remembered."""

    def __init__(self, histories: Sequence[History]) -> None:
        self._histories = [history for service in _NAMING for history in histories if history.service == service]
        self._known: dict[UUID, str | None] = {}

    def __call__(self, thing: UUID) -> str | None:
        """What it is called by now, a person first and last name, or that these are sealed.

        None: nothing that has a name has this id.
        """
        if thing not in self._known:
            self._known[thing] = next(filter(None, (self._read(history, thing) for history in self._histories)), None)
        return self._known[thing]

    def _read(self, history: History, thing: UUID) -> str | None:
        rows = history.entity(thing)
        if any(row.type == PersonErased.type for row in rows):
            return ERASED
        names = (_name_in(json.loads(row.raw)["data"], thing) for row in reversed(rows))
        return next(filter(None, names), None)


def _name_in(data: dict[str, Any], thing: UUID) -> str | None:
    """Whoever reads logs has no keys: people are told apart by the beginning of their ids."""
    if isinstance(data.get("firstName"), dict):
        return f"{StillSealed()} {str(thing)[:8]}"
    if "firstName" in data:
        return f"{data['firstName']} {data.get('lastName', '')}".strip()
    name = data.get("name")
    return name if isinstance(name, str) else None


def names_of(url: str, ids: Iterable[UUID]) -> Mapping[UUID, str]:
    """The names of those that have one. Raises `Failure`."""
    histories = open_logs(url, _NAMING)
    try:
        names = Names(histories)
        return {thing: name for thing in ids if (name := names(thing)) is not None}
    finally:
        for history in histories:
            history.connection.close()
