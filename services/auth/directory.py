"""People by name, though no name is in the clear: their order is kept in memory, searched there, and follows what is
written.

Whoever is asked reads everybody's two boxes where the log has grown since, and opens those that are new: 10,000 people
are some 25 ms then, and a third of a second at the first question of a process. The cursor of a page holds a name, and
so it is sealed as well: links are logged.
"""

from __future__ import annotations

import hmac
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, NamedTuple
from unicodedata import normalize
from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from libs.chassis.store.keyring import PersonKey
from libs.chassis.store.listing import Page
from libs.chassis.store.personal import SEALED, SUBJECT, box_of, subject_of
from libs.chassis.store.work import Work
from libs.contracts.auth import UsersQuery
from libs.contracts.model import Lane, StillSealed
from libs.contracts.requests import Invalid
from services.auth.credentials import credentials_of
from services.auth.queries import NAMES, PEOPLE
from services.auth.subject_keys import keys_of

_CURSORS: Final = UUID(int=0)
_PURPOSE: Final = b"cursors of people"


class _Place(NamedTuple):
    """Where somebody stands: however names are written first, then as they are."""

    folded: str
    folded_first: str
    last: str
    first: str
    id: UUID


_PLACE: Final = TypeAdapter(tuple[str, str, UUID])


class _Known(NamedTuple):
    boxes: tuple[str | None, str | None]
    place: _Place


@dataclass
class Directory:
    """`key`: what cursors are sealed under follows from it."""

    key: Callable[[], bytes]
    _at: int = -1
    """The position of the log up to which the order is right."""
    _known: Mapping[UUID, _Known] = field(default_factory=dict)
    _order: list[_Place] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def page(self, work: Work, query: UsersQuery) -> Page:
        """By last and first name.

        Raises:
            Invalid: the cursor is none of this list's, or pages do not reach so far.
        """
        order = self._present(work)
        if query.q is not None:
            order = _found(work, order, query.q)
        if query.cursor is None:
            begins = query.offset()
        elif query.page is None:
            begins = bisect_right(order, self._behind(query.cursor))
        else:
            raise Invalid("give a page or a cursor, not both", field="cursor")
        ids = [place.id for place in order[begins : begins + query.limit]]
        people = {row["id"]: row for row in work.fetch(PEOPLE, ids=ids)}
        rows = [people[one] for one in ids if one in people]
        more = begins + query.limit < len(order) and rows
        return Page(rows, len(order), False, self.cursor(rows[-1]) if more else None, self)

    def cursor(self, row: Mapping[str, Any]) -> str:
        """Where this person stands."""
        place = to_json((row["last_name"], row["first_name"], row["id"])).decode()
        return self._seal().seal(place)[SEALED].replace("+", "-").replace("/", "_")

    def _behind(self, cursor: str) -> _Place:
        box = {SUBJECT: str(_CURSORS), SEALED: cursor.replace("-", "+").replace("_", "/")}
        text = self._seal().open(box)
        try:
            return _place(*_PLACE.validate_json(text or ""))
        except ValidationError:
            raise Invalid("must be the nextCursor of another page of this list", field="cursor") from None

    def _seal(self) -> PersonKey:
        return PersonKey(_CURSORS, hmac.digest(self.key(), _PURPOSE, "sha256"))

    def _present(self, work: Work) -> list[_Place]:
        """Whatever is written of people is written with an event of theirs: where none is new, nothing is."""
        at = work.log.last_position(work.cursor, Lane.ROUTINE)
        with self._lock:
            if at > self._at:
                self._read(work)
                self._at = at
            return self._order

    def _read(self, work: Work) -> None:
        boxes = {row["id"]: (row["last"], row["first"]) for row in work.fetch(NAMES)}
        fresh = {one: pair for one, pair in boxes.items() if one not in self._known or self._known[one].boxes != pair}
        if not fresh and len(boxes) == len(self._known):
            return
        found = (box_of(text) for pair in fresh.values() for text in pair if text is not None)
        if subjects := {subject_of(box) for box in found if box is not None}:
            keys_of(work).know(subjects)
        opened = {
            one: _Known((last, first), _place(_text(work, last), _text(work, first), one))
            for one, (last, first) in fresh.items()
        }
        self._known = {one: opened.get(one) or self._known[one] for one in boxes}
        self._order = sorted(known.place for known in self._known.values())


def _found(work: Work, order: list[_Place], text: str) -> list[_Place]:
    """Those whose name has all of its words; addresses are kept as hashes, so one is found as a whole."""
    known = credentials_of(work, text.strip()) if "@" in text else None
    words = _searched(text).split()

    def is_meant(place: _Place) -> bool:
        name = _searched(f"{place.first} {place.last}")
        return (known is not None and place.id == known.user.id) or all(word in name for word in words)

    return [place for place in order if is_meant(place)]


def _searched(text: str) -> str:
    """However its letters are written and composed."""
    return normalize("NFKC", text).casefold()


def _place(last: str, first: str, one: UUID) -> _Place:
    return _Place(last.casefold(), first.casefold(), last, first, one)


def _text(work: Work, column: str | None) -> str:
    if column is None:
        return ""  # whoever was erased has none
    box = box_of(column)
    return column if box is None else keys_of(work).unseal(box) or str(StillSealed())
