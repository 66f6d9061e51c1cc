"""What happened to an incident, and why: timelines and explanations."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from libs.contracts.clients import Client
from libs.contracts.envelope import Actor
from libs.contracts.model import Contract, Moment, Run, StrictContract


class TimelineEntry(Contract):
    at: Moment
    type: str
    actor: Actor
    client: Client | None = None
    """With what the actor acted; None: they have not said."""
    summary: str
    event_id: UUID
    causation_id: UUID | None = None


class TimelineQuery(StrictContract):
    """`GET /incidents/{id}/timeline`."""

    id: UUID
    cursor: str | None = Field(default=None, max_length=200)
    """`nextCursor` of the page before; None: from the beginning."""
    limit: int = Field(default=100, ge=1, le=500)


class Timeline(Contract):
    """A page, oldest first; within it a cause stands before its effect."""

    entries: tuple[TimelineEntry, ...]
    next_cursor: str | None = None
    """Where the next page begins; None: this was the last one. A page may be shorter than it was asked to be."""
    erased: tuple[UUID, ...] = ()
    """Who of the people in it was erased: nobody can be named any more."""


class ChainLink(Contract):
    event_id: UUID
    at: Moment
    type: str
    summary: str


class Outcome(StrEnum):
    PAGED = "paged"
    NOT_PAGED = "not_paged"
    SUPPRESSED = "suppressed"
    UNREACHABLE = "unreachable"


class PersonExplained(Contract):
    """What became of one person for one incident, with the chain of events that led to it.

    Of a chain that is very long the middle is left out, and of very many people all but the first have none here: it is
    there when one of them is asked for.
    """

    user_id: UUID
    erased: bool = False
    """Nobody can be named any more: this was an erased person."""
    outcome: Outcome
    reason: str
    run: Run = 1
    """The run of paging that `outcome` is about: the newest that concerned this person."""
    chain: tuple[ChainLink, ...]


class ExplainQuery(StrictContract):
    id: UUID
    user_id: UUID | None = None


class Explanation(Contract):
    people: tuple[PersonExplained, ...]


class FindExplanation(StrictContract):
    """An operator's question: `key` is an incident's number, its id, or 4 or more digits of the beginning of its id."""

    key: str = Field(min_length=1, max_length=64)
    user_id: UUID | None = None


class IncidentExplained(Explanation):
    """The explanation of the incident that was meant."""

    incident_id: UUID
    number: int
    title: str
