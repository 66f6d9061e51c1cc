"""Runs of paging: what a page of one run owes to answers and levels of another, in whatever order they are heard."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.store.desk import Desk
from libs.contracts.auth import DeviceRemoved, Platform
from libs.contracts.envelope import Envelope
from libs.contracts.model import Lane
from libs.contracts.notifier import (
    Method,
    MethodKind,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
    PushTokenRetired,
)
from services.notifier.application import stop_incidents
from services.notifier.inputs import MemoryInputs
from services.notifier.projections import OUTBOX, PAGING, STOPPED, project
from services.notifier.tests.flows import Flow, accepted, answer, device, due, exhausted, happened
from services.notifier.tests.notifications import BO, INCIDENT, NINE

CY = UUID(int=9)


def paged() -> Flow:
    """One phone, which shows the first page of the first run."""
    flow = Flow().learn(device())
    flow.page(due())
    flow.record(accepted(flow.pages[0]))
    return flow


def test_a_page_goes_to_each_device_of_each_person_and_names_its_method() -> None:
    flow = Flow().learn(device(), device("tablet", Platform.IOS), device("phone", user=CY))
    flow.page(due(people=(BO, CY, BO)))
    assert {(p.user_id, p.method.id, p.method.kind) for p in flow.pages} == {
        (BO, "phone", MethodKind.FCM),
        (BO, "tablet", MethodKind.APNS),
        (CY, "phone", MethodKind.FCM),
    }
    assert {(p.run, p.round, p.level, p.step) for p in flow.pages} == {(1, 1, 1, 1)}


def test_repeated_due_events_make_no_second_page() -> None:
    flow = Flow().learn(device())
    for event in (due(), due(2, 1, 2), exhausted(2)):
        assert [type(f) for f in flow.page(event)] == [NotificationIntended]
        assert flow.page(event) == []
        assert flow.page(event.model_copy(update={"id": UUID(int=77)})) == [], "nor does the same level said anew"


def test_repeated_due_events_of_one_batch_make_no_second_page() -> None:
    event = due(1, 2, 1)
    flow = Flow().learn(device())
    flow.page(event, event)
    assert len(flow.pages) == 1


@pytest.mark.parametrize("late", [due(), due(1, 3, 2), due(2, 1, 1), due(2, 1, 2), due(1, 9, 9)])
def test_a_late_lower_place_makes_no_page_and_calls_nobody_unreachable(late: Envelope[Any]) -> None:
    flow = Flow().learn(device())
    flow.page(due(2, 2, 1, lane=Lane.URGENT))
    assert flow.page(late) == []
    flow.learn(happened(DeviceRemoved(user_id=BO, device_id="phone", reason="lost")))
    assert flow.page(late) == []


def test_a_late_lower_place_of_the_same_batch_makes_no_page() -> None:
    flow = Flow().learn(device())
    flow.page(due(1, 1, 2), due(), due(2), due(1, 2, 1))
    assert [(p.run, p.round, p.level) for p in flow.pages] == [(1, 1, 2), (2, 1, 1)]


def test_every_later_place_makes_a_page_of_its_own() -> None:
    flow = Flow().learn(device())
    flow.page(due(), due(1, 1, 2), due(1, 2, 1), exhausted(), due(2))
    assert len({p.notification_id for p in flow.pages}) == 5


def test_the_first_page_of_an_incident_leaves_no_row_behind() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    assert flow.desk.rows(PAGING) == []
    flow.page(due(1, 1, 2))
    assert flow.desk.rows(PAGING) == [{"incident_id": INCIDENT, "run": 1, "round": 1, "level": 2}]


@pytest.mark.parametrize("what", ["acknowledged", "snoozed", "resolved", "closed"])
def test_an_answer_that_is_heard_before_its_page_withdraws_it(what: str) -> None:
    flow = Flow().learn(device())
    flow.answer(answer(what, at=NINE - timedelta(minutes=1)))
    intended, withdrawn = flow.page(due())
    assert isinstance(withdrawn, NotificationWithdrawn)
    assert (type(intended), withdrawn.reason) == (NotificationIntended, what)
    assert flow.desk.rows(OUTBOX) == []


def test_an_answer_of_an_earlier_run_does_not_stop_a_later_runs_page() -> None:
    flow = Flow().learn(device())
    flow.page(due(), due(2))
    first, second = flow.pages
    facts = flow.answer(answer(run=1, at=NINE + timedelta(hours=1)))
    assert [(type(f), getattr(f, "notification_id", None)) for f in facts] == [
        (NotificationWithdrawn, first.notification_id)
    ]
    assert [row["notification_id"] for row in flow.desk.rows(OUTBOX)] == [second.notification_id]
    assert [type(f) for f in flow.page(due(2, 1, 2))] == [NotificationIntended], "nor pages that are still to come"


def test_an_acknowledgement_between_two_runs_stops_the_first_alone() -> None:
    flow = paged()
    (replaced,) = flow.answer(answer(run=1))
    assert isinstance(replaced, NotificationReplaced)
    assert replaced.kind is NotificationKind.ACKNOWLEDGED
    assert [type(f) for f in flow.page(due(2))] == [NotificationIntended]
    (over,) = flow.answer(answer("acknowledged", run=2))
    assert isinstance(over, NotificationWithdrawn)
    assert over.notification_id == flow.pages[1].notification_id, "what the first run's phone shows stays"


def test_a_snoozed_page_is_replaced_as_if_acknowledged_and_paging_starts_again_with_the_next_run() -> None:
    flow = paged()
    (replaced,) = flow.answer(answer("snoozed"))
    assert isinstance(replaced, NotificationReplaced)
    assert replaced.kind is NotificationKind.ACKNOWLEDGED
    assert [type(f) for f in flow.page(due(1, 1, 2))] == [NotificationIntended, NotificationWithdrawn]
    assert [type(f) for f in flow.page(due(2))] == [NotificationIntended]


def test_a_resolution_ends_what_the_phones_show_of_every_run() -> None:
    flow = paged()
    flow.answer(answer(run=1))
    flow.page(due(2))
    flow.record(accepted(flow.pages[1]))
    facts = flow.answer(answer("resolved", run=2))
    assert [getattr(f, "kind", None) for f in facts] == [NotificationKind.RESOLVED] * 2


def test_an_answer_to_an_incident_that_nobody_was_paged_for_stops_no_page() -> None:
    flow = Flow().learn(device())
    flow.answer(answer("resolved", run=0))
    assert [type(f) for f in flow.page(due())] == [NotificationIntended]


def _rows(events: Iterable[Envelope[Any]]) -> tuple[Any, Any]:
    flow = Flow()
    for event in events:
        (flow.page if "escalation" in event.type else flow.answer)(event)
    return flow.desk.rows(STOPPED), flow.desk.rows(PAGING)


def test_in_whatever_order_they_are_heard_the_same_rows_stay() -> None:
    answers = (answer(run=2), answer("snoozed", run=1, at=NINE + timedelta(hours=1)), answer("resolved", run=2))
    (stopped,), _ = _rows(answers)
    assert (stopped["run"], stopped["reason"]) == (2, "resolved"), "also of two answers at the same moment"
    assert all(_rows(order) == ([stopped], []) for order in permutations(answers))
    places = (due(), due(2), due(1, 3, 1), exhausted(2))
    _, (place,) = _rows(places)
    assert (place["run"], place["round"]) == (2, 5)
    assert all(_rows(order) == ([], [place]) for order in permutations(places))


def test_a_person_without_a_device_is_named_unreachable_once_for_each_place() -> None:
    flow = Flow()
    for event in (due(), due(), due(1, 1, 2), due(2), due(2)):
        flow.page(event)
    assert [(u.run, u.round, u.level, u.reason) for u in flow.unreachable] == [
        (1, 1, 1, "no device"),
        (1, 1, 2, "no device"),
        (2, 1, 1, "no device"),
    ]


def test_a_retired_token_is_no_method_until_it_is_registered_anew() -> None:
    retired = PushTokenRetired(user_id=BO, device_id="phone", reason="Unregistered", at=NINE + timedelta(hours=1))
    flow = Flow().learn(device(), happened(retired))
    assert [type(f) for f in flow.page(due())] == [PersonUnreachable]
    again = device()
    registered = again.data.model_copy(update={"registered_at": NINE + timedelta(hours=2)})
    flow.learn(again.model_copy(update={"data": registered}))
    assert [type(f) for f in flow.page(due(2))] == [NotificationIntended]


def test_a_token_that_is_registered_twice_is_paged_once_on_its_newest_device() -> None:
    old, new = device("old"), device("new")
    token = {"push_token": "the same", "registered_at": NINE + timedelta(days=1)}
    flow = Flow().learn(
        new.model_copy(update={"data": new.data.model_copy(update=token)}),
        old.model_copy(update={"data": old.data.model_copy(update={"push_token": "the same"})}),
    )
    flow.page(due())
    assert [p.method for p in flow.pages] == [Method(id="new", kind=MethodKind.FCM)]


@pytest.mark.parametrize(
    ("event", "lanes"),
    [
        (answer(), {Lane.URGENT}),
        (answer(run=2), {Lane.URGENT, Lane.ROUTINE}),
        (answer(lane=Lane.ROUTINE), {Lane.ROUTINE}),
        (answer(run=2, lane=Lane.ROUTINE), {Lane.ROUTINE}),
    ],
)
def test_an_answer_to_a_raised_incident_takes_turns_with_the_pages_of_both_lanes(
    event: Envelope[Any], lanes: set[Lane]
) -> None:
    taken: set[Lane] = set()

    class Turns(MemoryInputs):
        def take_turns(self, lanes: Iterable[Lane]) -> None:
            taken.update(lanes)

    Desk(project).take(lambda work: stop_incidents(work, [event], Turns()), NINE)
    assert taken == lanes
