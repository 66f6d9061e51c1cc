"""Nothing is sent any more to whoever is deactivated; what is open then is theirs again when they are back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.auth import UserDeactivated, UserReactivated
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Lane
from libs.contracts.notifier import (
    NotificationAccepted,
    NotificationIntended,
    NotificationWithdrawn,
    PersonUnreachable,
)
from services.notifier.tests.flows import Flow, accepted, answer, device, due, failed, happened
from services.notifier.tests.notifications import BO, NINE

ADMIN = Actor.user(UUID(int=7))
CY = UUID(int=9)


def gone(user: UUID = BO) -> Envelope[UserDeactivated]:
    return happened(UserDeactivated(user_id=user, by=ADMIN, at=NINE), Lane.ROUTINE)


def back(user: UUID = BO) -> Envelope[UserReactivated]:
    return happened(UserReactivated(user_id=user, by=ADMIN, at=NINE), Lane.ROUTINE)


def test_what_is_not_sent_is_withdrawn_and_they_are_named_unreachable_once() -> None:
    flow = Flow().learn(device(), device("tablet", at=NINE + timedelta(seconds=1)))
    flow.page(due())
    assert len(flow.pages) == 2
    leaving = gone()
    facts = flow.register(leaving)
    assert [type(fact) for fact in facts] == [NotificationWithdrawn, NotificationWithdrawn, PersonUnreachable]
    assert {f.reason for f in facts if isinstance(f, NotificationWithdrawn | PersonUnreachable)} == {"deactivated"}
    assert flow.events[-2].causation_id == leaving.id
    assert flow.register(leaving) == [], "said again"


def test_whose_other_phone_has_it_is_not_unreachable() -> None:
    flow = Flow().learn(device(), device("tablet", at=NINE + timedelta(seconds=1)))
    flow.page(due())
    flow.record(accepted(flow.pages[0]))
    assert [type(fact) for fact in flow.register(gone())] == [NotificationWithdrawn]


@pytest.mark.parametrize("first", ["the page", "the person"])
def test_a_level_that_pages_whoever_has_left_finds_nobody_there(first: str) -> None:
    flow = Flow().learn(device())
    if first == "the page":
        flow.page(due())
        flow.register(gone())
    else:
        flow.register(gone())
        flow.page(due())
    assert [fact.reason for fact in flow.unreachable] == ["deactivated"]
    assert not [one for known in flow.inputs.notifications.values() for one in known.values() if one.sending]


def test_whoever_has_no_device_is_said_to_have_none() -> None:
    flow = Flow().learn(device())
    flow.page(due(people=(BO, CY)))
    assert [(fact.user_id, fact.reason) for fact in flow.unreachable] == [(CY, "no device")]


def test_a_push_that_was_under_way_is_recorded_and_says_nothing_more() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    flow.register(gone())
    assert [type(fact) for fact in flow.record(accepted(flow.pages[0]))] == [NotificationAccepted]
    assert flow.register(back()) == [], "they have it"


def test_whoever_is_back_is_paged_for_what_is_still_open() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    flow.register(gone())
    coming = back()
    (said,) = flow.register(coming)
    assert isinstance(said, NotificationIntended)
    assert (said.user_id, said.step, said.method) == (BO, 2, flow.pages[0].method)
    assert flow.events[-1].causation_id == coming.id
    assert flow.register(coming) == [], "said again"


@pytest.mark.parametrize("meanwhile", [answer(), due(1, 1, 2)], ids=["answered", "gone on"])
def test_what_was_answered_or_has_gone_on_meanwhile_is_not_theirs(meanwhile: Envelope[Any]) -> None:
    flow = Flow().learn(device())
    flow.page(due())
    flow.register(gone())
    told = flow.answer(meanwhile) if meanwhile.name == "IncidentAcknowledged" else flow.page(meanwhile)
    assert not [fact for fact in told if isinstance(fact, NotificationIntended)]
    pages = flow.register(back())
    assert [page.level for page in pages if isinstance(page, NotificationIntended)] in ([], [2])


def test_whoever_left_and_came_back_in_one_batch_keeps_what_is_theirs() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    assert flow.register(gone(), back()) == []
    assert flow.register(back()) == []
    flow.record(failed(flow.pages[0]))
    assert len(flow.pages) == 1


def test_a_phone_of_somebody_who_has_left_rings_for_nothing() -> None:
    flow = Flow()
    flow.page(due())
    flow.register(gone())
    late = device("late", at=NINE + timedelta(seconds=30))
    assert flow.register(late) == []
    assert flow.register(device("later"), gone()) == []
    assert [type(fact) for fact in flow.register(back())] == [NotificationIntended] * 2
