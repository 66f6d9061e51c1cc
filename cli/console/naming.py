"""Ids in what is shown to people become names, wherever the names come from."""

import re
from collections.abc import Callable, Iterable
from typing import Final
from uuid import UUID

_ID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")

NameOf = Callable[[UUID], str | None]


def ids_in(texts: Iterable[str]) -> set[UUID]:
    """Every id that stands in these texts."""
    return {UUID(found) for text in texts for found in _ID.findall(text)}


def with_names(text: str, name_of: NameOf) -> str:
    """The text with the names of those that have one in the place of their ids."""
    return _ID.sub(lambda found: name_of(UUID(found[0])) or found[0], text)
