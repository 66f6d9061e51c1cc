"""The review of an incident: a draft, what people make of it, and whether it is published. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.requests import Invalid, NotFound, Rejected
from libs.contracts.reviews import (
    ActionItem,
    ReviewChanged,
    ReviewDeleted,
    ReviewDrafted,
    ReviewPublished,
    ReviewWithdrawn,
)


class NoSuchReview(NotFound):
    """Nobody has begun a review of this incident."""


class NotOverYet(Rejected):
    """The incident is not over yet: resolve it first, its review is drafted from all that happened."""


class IsPublished(Rejected):
    """The review is published: make it a draft again first (`published: false`)."""


@dataclass(frozen=True, slots=True)
class Review:
    """`drafted` is None before there is one; `changed` is the last one's word, of whatever kind."""

    drafted: ReviewDrafted | None = None
    text: str = ""
    action_items: tuple[ActionItem, ...] = ()
    published: ReviewPublished | None = None
    changed: ReviewDrafted | ReviewChanged | ReviewPublished | ReviewWithdrawn | None = None


def initial() -> Review:
    return Review()


def evolve(state: Review, fact: Fact) -> Review:
    match fact:
        case ReviewDrafted():
            return Review(drafted=fact, text=fact.text, changed=fact)
        case ReviewChanged():
            return replace(state, text=fact.text, action_items=fact.action_items, changed=fact)
        case ReviewPublished():
            return replace(state, published=fact, changed=fact)
        case ReviewWithdrawn():
            return replace(state, published=None, changed=fact)
        case ReviewDeleted():
            return initial()
        case _:
            return state


@dataclass(frozen=True, slots=True)
class DraftReview:
    incident_id: UUID
    text: str
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class EditReview:
    """None: it stays as it is. `new`: the ids of items that the review does not have yet."""

    by: Actor
    at: datetime
    text: str | None = None
    action_items: tuple[ActionItem, ...] | None = None
    new: frozenset[UUID] = frozenset()
    published: bool | None = None


@dataclass(frozen=True, slots=True)
class DeleteReview:
    by: Actor
    at: datetime


Command = DraftReview | EditReview | DeleteReview


def decide(command: Command, state: Review) -> Sequence[Fact]:
    """Whoever drafts it again gets what there is.

    Raises:
        NoSuchReview, IsPublished, Invalid.
    """
    drafted = state.drafted
    match command:
        case DraftReview(incident_id, text, by, at):
            return [] if drafted else [ReviewDrafted(incident_id=incident_id, text=text, by=by, at=at)]
        case EditReview() | DeleteReview() if drafted is None:
            raise NoSuchReview
        case DeleteReview() if state.published is not None:
            raise IsPublished
        case DeleteReview(by, at):
            return [ReviewDeleted(incident_id=drafted.incident_id, by=by, at=at)]
        case EditReview():
            return _edited(command, state, drafted.incident_id)


def _edited(command: EditReview, state: Review, incident_id: UUID) -> list[Fact]:
    _check_items(command, state)
    facts: list[Fact] = []
    text = state.text if command.text is None else command.text
    items = state.action_items if command.action_items is None else command.action_items
    by, at = command.by, command.at
    if (text, items) != (state.text, state.action_items):
        facts.append(ReviewChanged(incident_id=incident_id, text=text, action_items=items, by=by, at=at))
    if command.published is True and state.published is None:
        facts.append(ReviewPublished(incident_id=incident_id, by=by, at=at))
    if command.published is False and state.published is not None:
        facts.append(ReviewWithdrawn(incident_id=incident_id, by=by, at=at))
    return facts


def _check_items(command: EditReview, state: Review) -> None:
    """An id that nobody has given is a typo, or another review's."""
    seen: set[UUID] = set()
    known = command.new | {item.id for item in state.action_items}
    for number, item in enumerate(command.action_items or ()):
        if item.id not in known:
            raise Invalid("there is no such action item: a new one has no id", field=f"actionItems.{number}.id")
        if item.id in seen:
            raise Invalid("is given twice", field=f"actionItems.{number}.id")
        seen.add(item.id)
