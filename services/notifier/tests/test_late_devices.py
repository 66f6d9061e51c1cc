"""Whoever registers a phone while a page of theirs is open gets it there, too."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from libs.contracts.auth import DeviceRemoved, Platform
from libs.contracts.model import Lane
from libs.contracts.notifier import Method, MethodKind, NotificationIntended, PushTokenRetired
from services.notifier.tests.flows import Flow, accepted, answer, device, due, exhausted, expired, failed, happened
from services.notifier.tests.notifications import BO, BRIEF, INCIDENT, NINE

CY = UUID(int=9)
SOON = NINE + timedelta(seconds=30)
LATE = device("late", Platform.IOS, at=SOON)


def methods(flow: Flow) -> list[str]:
    return [page.method.id for page in flow.pages]


def test_a_page_that_no_vendor_has_taken_yet_goes_to_the_new_phone_as_well() -> None:
    flow = Flow().learn(device())
    flow.page(due(1, 2, 1))
    (said,) = flow.register(LATE)
    assert isinstance(said, NotificationIntended)
    assert (said.incident_id, said.user_id, said.brief) == (INCIDENT, BO, BRIEF)
    assert said.method == Method(id="late", kind=MethodKind.APNS)
    assert (said.run, said.round, said.level, said.lane) == (1, 2, 1, Lane.URGENT)
    assert said.expires_at == flow.pages[0].expires_at
    assert flow.events[-1].causation_id == LATE.id
    assert flow.register(LATE) == [], "said again"
    assert flow.register(device("late", Platform.IOS, at=SOON + timedelta(seconds=1))) == []


@pytest.mark.parametrize("lane", list(Lane))
def test_a_person_without_a_phone_is_paged_when_they_register_one(lane: Lane) -> None:
    flow = Flow()
    flow.page(due(lane=lane))
    assert len(flow.unreachable) == 1
    (said,) = flow.register(LATE)
    assert isinstance(said, NotificationIntended)
    assert (said.brief, said.lane) == (BRIEF, lane)


def test_a_phone_whose_page_has_failed_gets_it_when_it_registers_again() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    flow.record(failed(flow.pages[0]))
    flow.learn(happened(PushTokenRetired(user_id=BO, device_id="phone", reason="UNREGISTERED", at=SOON)))
    (said,) = flow.register(device(at=SOON))
    assert isinstance(said, NotificationIntended)
    assert said.method.id == "phone"
    assert said.step == 2
    assert said.notification_id != flow.pages[0].notification_id
    flow.record(failed(said))
    (third,) = flow.register(device(at=SOON + timedelta(minutes=1)))
    assert isinstance(third, NotificationIntended)
    assert third.step == 3


def test_an_expired_page_goes_to_the_new_phone_while_nobody_has_answered() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    flow.record(expired(flow.pages[0]))
    assert [type(f) for f in flow.register(LATE)] == [NotificationIntended]


def test_a_page_that_a_vendor_has_taken_is_not_told_twice() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    flow.record(accepted(flow.pages[0]))
    assert flow.register(LATE) == []
    alone = Flow()
    alone.page(due())
    alone.register(LATE)
    alone.record(accepted(alone.pages[0]))
    assert alone.register(device("third")) == []


@pytest.mark.parametrize("known", [(), (device(),)])
def test_what_was_answered_rings_on_no_new_phone(known: tuple[object, ...]) -> None:
    flow = Flow().learn(*known)  # type: ignore[arg-type]
    flow.page(due())
    flow.answer(answer())
    assert flow.register(LATE) == []


def test_an_answer_of_an_earlier_run_does_not_hide_a_page() -> None:
    flow = Flow()
    flow.page(due(2))
    flow.answer(answer(run=1))
    assert [type(f) for f in flow.register(LATE)] == [NotificationIntended]


def test_only_the_present_place_counts() -> None:
    flow = Flow().learn(device(user=CY))
    flow.page(due(), due(1, 1, 2, people=(CY,)))
    assert flow.register(LATE) == []
    flow.page(exhausted())
    assert methods(flow)[-1] == "late"


def test_nobody_elses_page_goes_to_a_new_phone() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    assert flow.register(device("late", user=CY)) == []


def test_a_phone_that_is_removed_and_registered_again_at_once_is_paged() -> None:
    flow = Flow()
    flow.page(due())
    gone = happened(DeviceRemoved(user_id=BO, device_id="late", reason="signed out"))
    assert len(flow.register(gone, LATE)) == 1


def test_what_nobody_could_be_told_days_ago_pages_no_new_phone() -> None:
    flow = Flow()
    flow.page(due(brief=BRIEF.model_copy(update={"paging_since": NINE})))
    flow.now = NINE + timedelta(days=3)
    assert flow.register(LATE) == []


def test_a_phone_that_is_removed_at_once_is_not_paged() -> None:
    flow = Flow()
    flow.page(due())
    gone = happened(DeviceRemoved(user_id=BO, device_id="late", reason="lost"))
    assert flow.register(LATE, gone) == []


def test_a_token_that_was_retired_is_good_again_once_its_phone_registers_it_again() -> None:
    flow = Flow().learn(device())
    flow.learn(happened(PushTokenRetired(user_id=BO, device_id="phone", reason="UNREGISTERED", at=SOON)))
    flow.page(due())
    assert len(flow.unreachable) == 1
    flow.register(device(at=SOON + timedelta(seconds=1)))
    flow.page(due(1, 1, 2))
    assert methods(flow) == ["phone", "phone"]


def test_devices_registered_at_the_same_moment_are_in_one_order() -> None:
    flow = Flow().learn(device("b"), device("a"), device("c"))
    flow.page(due())
    assert methods(flow) == ["a", "b", "c"]


def test_an_apple_token_in_capitals_is_the_same_token() -> None:
    one, other = device("one", Platform.IOS), device("other", Platform.IOS)
    one.data.__dict__["push_token"], other.data.__dict__["push_token"] = "ab" * 32, "AB" * 32
    flow = Flow().learn(one, other)
    flow.page(due())
    assert len(flow.pages) == 1
