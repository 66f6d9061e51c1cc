"""People who were erased, in the stories of incidents: their ids stay in events and rows, and name nobody."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple
from uuid import UUID

from libs.contracts.envelope import Actor, ActorKind
from libs.contracts.erasure import ERASED

_ID: Final = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")

WhoIsErased = Callable[[Collection[UUID]], Collection[UUID]]
"""Who of these people was erased."""


class Story(NamedTuple):
    """Rows of a timeline as they may be told, and whom of those in them nobody can name any more."""

    rows: list[dict[str, Any]]
    erased: frozenset[UUID] = frozenset()


def told(rows: Sequence[dict[str, Any]], who_is_erased: WhoIsErased) -> Story:
    """Sentences say "an erased person" where they name one."""
    erased = frozenset(who_is_erased(set(_people(rows))))
    if not erased:
        return Story(list(rows))
    return Story([row | {"summary": without(row["summary"], erased)} for row in rows], erased)


def people_in(text: str) -> set[UUID]:
    """Whoever's id stands in it, and what else has one."""
    return set(map(UUID, _ID.findall(text)))


def without(text: str, erased: Collection[UUID]) -> str:
    """The text, which says "an erased person" where it names one of these."""
    gone = {str(person) for person in erased}
    return _ID.sub(lambda found: ERASED if found[0] in gone else found[0], text)


def _people(rows: Iterable[dict[str, Any]]) -> Iterator[UUID]:
    for row in rows:
        yield from row["user_ids"]
        yield from people_in(row["summary"])
        actor = Actor.model_validate(row["actor"])  # of an event as it is, or of a row as it is stored
        if actor.kind is ActorKind.USER:
            yield UUID(actor.id)
