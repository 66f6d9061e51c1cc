"""A review is begun once, changed as a whole, published and taken back; repeated it is no news."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.contracts.durations import lasted
from libs.contracts.envelope import Actor, Fact
from libs.contracts.incidents import IncidentView, Status
from libs.contracts.model import Lane, Priority
from libs.contracts.requests import Invalid
from libs.contracts.reviews import ActionItem
from services.incidents.domain.review import (
    DeleteReview,
    DraftReview,
    EditReview,
    IsPublished,
    NoSuchReview,
    Review,
    decide,
    evolve,
    initial,
)
from services.incidents.drafting import draft, plain

AT = datetime(2026, 11, 3, 2, tzinfo=UTC)
ANA, INCIDENT = UUID(int=3), UUID(int=2)
BY = Actor.user(ANA)
ITEM = ActionItem(id=UUID(int=5), text="alert earlier")


def _after(*commands: Any) -> tuple[Review, list[str]]:
    state, names = initial(), []
    for command in commands:
        facts: Sequence[Fact] = decide(command, state)
        for fact in facts:
            state = evolve(state, fact)
            names.append(type(fact).__name__)
    return state, names


DRAFT = DraftReview(INCIDENT, "# What happened", BY, AT)
ADD = EditReview(BY, AT, action_items=(ITEM,), new=frozenset({ITEM.id}))


def test_it_is_begun_once_and_whoever_begins_it_again_gets_what_there_is() -> None:
    state, names = _after(DRAFT, EditReview(BY, AT, text="mine"), DraftReview(INCIDENT, "other", BY, AT))
    assert (state.text, names) == ("mine", ["ReviewDrafted", "ReviewChanged"])


def test_what_is_not_given_stays_and_what_changes_nothing_is_no_news() -> None:
    state, names = _after(
        DRAFT, ADD, EditReview(BY, AT, text="mine"), EditReview(BY, AT, text="mine"), EditReview(BY, AT)
    )
    assert (state.text, state.action_items) == ("mine", (ITEM,))
    assert names == ["ReviewDrafted", "ReviewChanged", "ReviewChanged"]


def test_it_is_published_with_what_it_says_then_and_may_be_taken_back() -> None:
    publish = EditReview(BY, AT, text="done", published=True)
    state, names = _after(DRAFT, publish, publish)
    assert (state.published is not None, names[1:]) == (True, ["ReviewChanged", "ReviewPublished"])
    state, names = _after(DRAFT, publish, EditReview(BY, AT, published=False), EditReview(BY, AT, published=False))
    assert (state.published, names[-1]) == (None, "ReviewWithdrawn")


@pytest.mark.parametrize(
    ("items", "field"),
    [((ITEM, ITEM), "actionItems.1.id"), ((ITEM, ActionItem(id=uuid4(), text="x")), "actionItems.1.id")],
    ids=["one that is given twice", "one that nobody has made"],
)
def test_an_item_has_an_id_of_this_review(items: tuple[ActionItem, ...], field: str) -> None:
    state, _ = _after(DRAFT, ADD)
    with pytest.raises(Invalid) as refused:
        decide(EditReview(BY, AT, action_items=items), state)
    assert refused.value.field == field


def test_there_is_nothing_to_change_before_it_is_begun() -> None:
    with pytest.raises(NoSuchReview):
        decide(EditReview(BY, AT, published=True), initial())


def test_a_draft_is_deleted_once_and_what_is_published_is_not() -> None:
    delete = DeleteReview(BY, AT)
    with pytest.raises(NoSuchReview):
        decide(delete, initial())
    state, names = _after(DRAFT, delete)
    assert (state, names) == (initial(), ["ReviewDrafted", "ReviewDeleted"])
    published, _ = _after(DRAFT, EditReview(BY, AT, published=True))
    with pytest.raises(IsPublished):
        decide(delete, published)


# --- The draft -------------------------------------------------------------------------------------------------------


def _incident(**more: Any) -> IncidentView:
    said: dict[str, Any] = {
        "id": INCIDENT, "number": 17, "version": 3, "title": "db down", "description": None,
        "priority": Priority.CRITICAL, "status": Status.RESOLVED, "lane": Lane.URGENT, "assigned_to": None,
        "created_by": "x", "created_at": AT, "updated_at": AT, "resolved_at": AT + timedelta(minutes=63),
        "escalation_timeout_minutes": 15, "alert_count": 3, "metadata": {},
    }  # fmt: skip
    return IncidentView(**said | more)


def _row(kind: str, minutes: float, summary: str, *people: UUID, actor: Actor = BY) -> dict[str, Any]:
    at = AT + timedelta(minutes=minutes)
    return {"type": kind, "at": at, "summary": summary, "actor": actor.model_dump(), "user_ids": list(people)}


def test_it_says_what_happened_to_whom_and_how_long_it_took() -> None:
    pager = Actor.service("escalation")
    rows = [
        _row("IncidentCreated", 0, "critical incident #17", actor=pager),
        _row("EscalationDue", 0, "level 1 is due", ANA, actor=pager),
        _row("NotificationAccepted", 0.1, "fcm accepted the push", ANA, actor=pager),
        _row("IncidentAcknowledged", 4.2, "acknowledged: on it"),
        _row("IncidentResolved", 63, "resolved"),
    ]
    text = draft(_incident(), rows)
    for words in (
        "# Review of incident #17: db down",
        "3 alerts.",
        f"Paged: {ANA}.",
        "1 level fired.",
        f"First answered after 4 min 12 s by {ANA}.",
        "Resolved after 1 h 3 min, 2026-11-03 03:03:00 UTC.",
        f"- 2026-11-03 02:04:12 UTC: acknowledged: on it ({ANA})",
    ):
        assert words in text
    assert "fcm accepted" not in text, "in short is not all there is"


def test_what_others_have_written_is_text_and_no_markup() -> None:
    hostile = "# <script>alert(1)</script> [click](https://evil.example) `rm` **bold**\n\n- a | b"
    text = draft(_incident(title=hostile), [_row("IncidentAcknowledged", 1, f"acknowledged: {hostile}")])
    assert "<script" not in text
    assert "](" not in text.replace("\\](", "").replace("\\]\\(", "")
    assert plain(hostile).count("\n") == 0
    assert len(plain("x" * 10_000)) == 500


def test_a_long_story_keeps_its_beginning_and_its_end() -> None:
    rows = [_row("EscalationDue", number, f"level {number} is due") for number in range(1000)]
    text = draft(_incident(), rows)
    assert "level 0 is due" in text
    assert "level 999 is due" in text
    assert "_880 more, which the timeline has_" in text
    assert len(text) < 20_000


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (59.6, "1 min"),
        (252, "4 min 12 s"),
        (3630, "1 h"),
        (3780, "1 h 3 min"),
        (90_061, "1 d 1 h"),
    ],
)
def test_times_are_told_by_their_two_largest_units(seconds: float, shown: str) -> None:
    assert lasted(seconds) == shown
