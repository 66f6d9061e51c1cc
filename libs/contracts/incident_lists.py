"""What a list of incidents is narrowed by and in which order it stands (`GET /incidents`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal, get_args
from uuid import UUID

from pydantic import Field

from libs.contracts.incidents import ListIncidents
from libs.contracts.model import SentMoment

Language = Literal[
    "simple",
    "danish",
    "dutch",
    "english",
    "finnish",
    "french",
    "german",
    "hungarian",
    "italian",
    "norwegian",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "turkish",
]
"""Whose words PostgreSQL brings to one form; `simple`: none."""
ENGLISH: Final = "english"
LANGUAGES: Final[tuple[str, ...]] = get_args(Language)
MOST_LABELS: Final = 10
"""By which one request filters."""
LABEL_CHARACTERS: Final = 255
"""Of a label, `<key>=<value>`: longer ones are found by none."""
_NO_NUL: Final = r"^[^\x00]*$"

Words = Annotated[str, Field(min_length=1, max_length=255, pattern=_NO_NUL)]
"""As people write them into a search engine: `disk "is full" -test`, `postgres or kafka`."""
LabelKey = Annotated[str, Field(min_length=1, max_length=200, pattern=_NO_NUL)]
LabelValue = Annotated[str, Field(max_length=LABEL_CHARACTERS, pattern=_NO_NUL)]


class Sort(StrEnum):
    """Of one priority the newest come first. What changed last is what the last event says: a mere repeat of an alert
    moves nothing."""

    NEWEST = "-createdAt"
    OLDEST = "createdAt"
    MOST_URGENT = "priority"
    LEAST_URGENT = "-priority"
    LATEST_CHANGED = "-updatedAt"
    LONGEST_UNCHANGED = "updatedAt"


class SearchIncidents(ListIncidents):
    """`[from, to)` is when they were created. All that is given has to fit.

    `metadata`: by key, dotted where it stands deeper; a list has each of its values. Numbers and truths are compared as
    JSON writes them.
    """

    q: Words | None = None
    integration_id: UUID | None = None
    from_: SentMoment | None = Field(default=None, alias="from")
    to: SentMoment | None = None
    metadata: Annotated[dict[LabelKey, LabelValue], Field(max_length=MOST_LABELS)] = {}
    sort: Sort = Sort.NEWEST
