"""A person whose every method has failed at a level is said to be unreachable: at once, once, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libs.contracts.auth import Platform
from libs.contracts.model import Lane
from libs.contracts.notifier import NotificationIntended, NotificationKind
from services.notifier.application import Sent
from services.notifier.tests.flows import Flow, accepted, answer, device, due, expired, failed
from services.notifier.tests.notifications import BO, INCIDENT


def two_phones(lane: Lane = Lane.URGENT) -> tuple[Flow, NotificationIntended, NotificationIntended]:
    flow = Flow().learn(device(), device("tablet", Platform.IOS))
    flow.page(due(lane=lane))
    one, other = flow.pages
    return flow, one, other


def test_when_the_last_method_has_failed_the_person_is_unreachable_once() -> None:
    flow, one, other = two_phones()
    flow.record(failed(one))
    assert flow.unreachable == []
    flow.record(failed(other, "BadDeviceToken"))
    flow.record(failed(other, "BadDeviceToken", 2), failed(one, attempt=2))
    (said,) = flow.unreachable
    assert (said.incident_id, said.user_id) == (INCIDENT, BO)
    assert (said.run, said.round, said.level) == (1, 1, 1)
    assert said.reason == "every method failed: BadDeviceToken"


def test_methods_that_fail_together_are_said_once() -> None:
    flow, one, other = two_phones()
    flow.record(failed(one), failed(other))
    assert len(flow.unreachable) == 1


@pytest.mark.parametrize(
    "hope", [accepted, lambda page: failed(page, "timeout", again=True)], ids=["accepted", "to be tried again"]
)
def test_a_person_with_a_method_left_is_not_unreachable(hope: Callable[[NotificationIntended], Sent]) -> None:
    flow, one, other = two_phones()
    flow.record(hope(one))
    flow.record(failed(other))
    together, first, second = two_phones()
    together.record(failed(first), hope(second))
    assert flow.unreachable == together.unreachable == []


def test_a_page_that_expired_unsent_has_failed_as_well() -> None:
    flow, one, other = two_phones()
    flow.record(expired(one), failed(other))
    flow.record(expired(one))
    assert [u.reason for u in flow.unreachable] == ["every method failed: UNREGISTERED"]
    alone = Flow().learn(device())
    alone.page(due())
    alone.record(expired(alone.pages[0]))
    assert [u.reason for u in alone.unreachable] == ["every method failed: expired"]


def test_once_it_was_answered_nobody_is_called_unreachable() -> None:
    flow, one, other = two_phones()
    flow.record(failed(one))
    flow.answer(answer())
    flow.record(failed(other))
    assert flow.unreachable == []


def test_an_answer_of_an_earlier_run_does_not_hide_that_somebody_is_unreachable() -> None:
    flow = Flow().learn(device())
    flow.page(due(2))
    flow.answer(answer(run=1))
    flow.record(failed(flow.pages[0]))
    assert [(u.run, u.level) for u in flow.unreachable] == [(2, 1)]


def test_a_replacement_that_fails_makes_nobody_unreachable() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    (page,) = flow.pages
    flow.record(accepted(page))
    flow.answer(answer())
    flow.record(failed(page, attempt=2, kind=NotificationKind.ACKNOWLEDGED))
    assert flow.unreachable == []


def test_another_person_or_another_level_is_another_matter() -> None:
    flow = Flow().learn(device())
    flow.page(due(), due(1, 1, 2))
    first, second = flow.pages
    flow.record(accepted(first), failed(second))
    assert [u.level for u in flow.unreachable] == [2]


@pytest.mark.parametrize("lane", list(Lane))
def test_it_is_said_in_the_pages_lane_and_follows_from_the_failure(lane: Lane) -> None:
    flow, one, other = two_phones(lane)
    flow.record(failed(one))
    facts = flow.record(failed(other))
    assert [type(f).__name__ for f in facts] == ["AttemptFailed", "PersonUnreachable"]
    failure, said = flow.events[-2:]
    assert (said.lane, said.causation_id, said.correlation_id) == (lane, failure.id, failure.correlation_id)
