"""Reviews of incidents that are over: what was written about one, and what is to be done so that it stays over."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID, uuid5

from pydantic import AfterValidator, Field
from pydantic_core import to_json

from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Contract, Moment, SentMoment, StrictContract
from libs.contracts.texts import ONE_LINE

TEXT_LIMIT: Final = 256 * 1024
"""Bytes of a review's text as JSON: an event must fit into a message of 1 MiB with all the rest."""
MOST_ITEMS: Final = 100


def review_of(incident_id: UUID) -> UUID:
    """The id of an incident's one review."""
    return uuid5(PAGER, f"review/{incident_id}")


class ActionItem(Contract):
    id: UUID
    text: str
    owner_id: UUID | None = None
    due_at: Moment | None = None
    done: bool = False


class ReviewDrafted(Fact, type="pager.incidents.ReviewDrafted.v1"):
    """Somebody has begun it, with what the timeline says. People stand in it by their ids and no names."""

    incident_id: UUID
    text: str
    by: Actor
    at: Moment


class ReviewChanged(Fact, type="pager.incidents.ReviewChanged.v1"):
    """All that it says after the change."""

    incident_id: UUID
    text: str
    action_items: tuple[ActionItem, ...] = ()
    by: Actor
    at: Moment


class ReviewPublished(Fact, type="pager.incidents.ReviewPublished.v1"):
    """It is no draft any more; it can still be changed."""

    incident_id: UUID
    by: Actor
    at: Moment


class ReviewWithdrawn(Fact, type="pager.incidents.ReviewWithdrawn.v1"):
    """It is a draft again."""

    incident_id: UUID
    by: Actor
    at: Moment


class ReviewDeleted(Fact, type="pager.incidents.ReviewDeleted.v1"):
    """A draft that nobody wants is gone; another one may be begun. What it said stays in the log."""

    incident_id: UUID
    by: Actor
    at: Moment


def _small(text: str) -> str:
    if len(to_json(text)) > TEXT_LIMIT:
        raise ValueError(f"must be at most {TEXT_LIMIT} bytes as JSON")
    return text


class WantedItem(StrictContract):
    """One without an `id` is new."""

    id: UUID | None = None
    text: str = Field(min_length=1, max_length=500, pattern=ONE_LINE)
    owner_id: UUID | None = None
    due_at: SentMoment | None = None
    done: bool = False


class ReviewChange(StrictContract):
    """Fields not given stay; `actionItems` is replaced as a whole."""

    text: Annotated[str, Field(min_length=1), AfterValidator(_small)] | None = Field(
        default=None, examples=["# What happened"]
    )
    action_items: tuple[WantedItem, ...] | None = Field(default=None, max_length=MOST_ITEMS)
    published: bool | None = None


class ChangeReview(ReviewChange):
    """`PATCH /incidents/{id}/review`; `id` is the incident's."""

    id: UUID


class ReviewView(Contract):
    """`text` is Markdown; whoever shows it puts names in the place of people's ids."""

    id: UUID
    incident_id: UUID
    version: int
    text: str
    action_items: tuple[ActionItem, ...] = ()
    published: bool = False
    published_at: Moment | None = None
    published_by: str | None = None
    created_at: Moment
    created_by: str
    updated_at: Moment
    updated_by: str
    erased: tuple[UUID, ...] = ()
    """Who of the people in it was erased: nobody can be named any more."""
