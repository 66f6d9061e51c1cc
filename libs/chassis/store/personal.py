"""Personal texts in tables: columns that say whose they are, and hold boxes (docs/adr/0058)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol
from uuid import UUID

from pydantic_core import from_json, to_json
from sqlalchemy import Table, Text
from sqlalchemy.sql import Executable
from sqlalchemy.types import TypeDecorator

from libs.contracts.model import Box, StillSealed

_BEGINS: Final = '{"k":"'
SUBJECT: Final = "k"
"""Of a box: the id of the one whose key opens it."""
SEALED: Final = "v"
"""Of a box: what it holds."""


class RowSeals(Protocol):
    """The keys of one transaction, for the rows that it reads and writes."""

    @property
    def made(self) -> Sequence[Any]:
        """The rows of keys that were made for it."""
        ...

    def know(self, subjects: set[UUID]) -> None:
        """Fetch what of these keys is not known yet, at once."""
        ...

    def seal_if(self, subject: UUID, text: str) -> Box | None:
        """Under the subject's key; None: the text is kept as it is."""
        ...

    def unseal(self, box: Box) -> str | None:
        """The text inside; None: its key is not here."""
        ...


class PersonalText(TypeDecorator[str]):
    """A text that belongs to a person, sealed at rest; `subject` is the column with their id.

    In Python it is the text itself, or `StillSealed` where its key is not here; the column holds the box as JSON.
    What was stored before there were keys is clear, and read as it is.
    """

    impl = Text
    cache_ok = True

    def __init__(self, subject: str) -> None:
        super().__init__()
        self.subject = subject


@lru_cache(maxsize=512)
def personal_columns(statement: Executable) -> tuple[str, ...]:
    """Which columns of its rows are personal texts."""
    columns = getattr(statement, "selected_columns", ())
    return tuple(str(column.key) for column in columns if isinstance(column.type, PersonalText))


@lru_cache(maxsize=256)
def subjects_of(table: Table) -> Mapping[str, str]:
    """By personal column, the one that says whose it is."""
    return {c.name: c.type.subject for c in table.columns if isinstance(c.type, PersonalText)}


def box_of(text: str) -> Box | None:
    """The box that a column holds; None: it is a clear text."""
    if not text.startswith(_BEGINS):
        return None
    try:
        box = from_json(text)
        subject_of(box)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return box if box.keys() == {SUBJECT, SEALED} and isinstance(box[SEALED], str) else None


@lru_cache(maxsize=4096)
def _subject(text: str) -> UUID:
    return UUID(text)


def subject_of(box: Box) -> UUID:
    """Whose box it is. Raises ValueError, KeyError, TypeError or AttributeError: it is none."""
    return _subject(box[SUBJECT])


def text_of(box: Box) -> str:
    """A box as a column holds it."""
    return to_json({SUBJECT: box[SUBJECT], SEALED: box[SEALED]}).decode()


def stored_form(text: str) -> str:
    """A text as a column holds it."""
    return _boxed(text) if isinstance(text, StillSealed) else text


def opened(rows: list[dict[str, Any]], columns: Sequence[str], seals: RowSeals | None) -> None:
    """Replace what these columns of the rows hold by the texts, as far as the keys are here."""
    # Each box once: in a storm the same few devices stand in hundreds of rows.
    texts = {row[name] for row in rows for name in columns if row[name] is not None}
    boxes = {text: box for text in texts if (box := box_of(text)) is not None}
    if seals is not None and boxes:
        seals.know({subject_of(box) for box in boxes.values()})
    clear = {text: _inside(box, seals) for text, box in boxes.items()}
    for row in rows if clear else ():
        for name in columns:
            row[name] = clear.get(row[name], row[name])


def _inside(box: Box, seals: RowSeals | None) -> str:
    text = seals.unseal(box) if seals is not None else None
    return StillSealed(box) if text is None else text


def sealed(table: Table, values: Mapping[str, Any], seals: RowSeals) -> Mapping[str, Any]:
    """The same values of a row with its personal texts in boxes."""
    subjects = subjects_of(table)
    clear = {
        name: StillSealed(box)
        for name, value in values.items()
        if name in subjects and value is not None and not isinstance(value, StillSealed)
        if (box := seals.seal_if(values[subjects[name]], value)) is not None
    }
    return {**values, **clear} if clear else values


def boxed(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same values as a table with personal texts takes them. Raises ValueError: one has lost its box."""
    return {name: stored_form(value) if isinstance(value, StillSealed) else value for name, value in values.items()}


def _boxed(text: StillSealed) -> str:
    if text.box is None:
        raise ValueError("a text that is still sealed cannot be stored without its box")
    return text_of(text.box)
