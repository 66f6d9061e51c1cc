"""A page that somebody sends to themselves: on the way of every page, and no incident's."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.store.work import Decided
from libs.contracts.model import Lane
from libs.contracts.notifier import Method, MethodKind, NotificationIntended, ReceiptRecorded, ReceiptState, is_test
from libs.contracts.requests import NotFound
from services.notifier.measures import measures
from services.notifier.outbox import Sendable
from services.notifier.projections import project
from services.notifier.push.message import apns_headers, apns_minimal_payload, apns_payload, fcm_message, web_payload
from services.notifier.results import page_of
from services.notifier.tests.flows import Flow, accepted, device, due, failed
from services.notifier.tests.notifications import BO, NINE
from services.notifier.tests.push_pages import a_page
from services.notifier.tests.test_people_leave import gone

PHONE = Method(id="phone", kind=MethodKind.WEBPUSH)
CY = UUID(int=9)


def begun() -> tuple[Flow, NotificationIntended]:
    flow = Flow().learn(device())
    (page,) = flow.test(PHONE)
    assert isinstance(page, NotificationIntended)
    return flow, page


def test_it_waits_behind_whatever_pages_people() -> None:
    flow, page = begun()
    assert is_test(page)
    assert (page.lane, page.method, page.user_id) == (Lane.ROUTINE, PHONE, BO)
    (event,) = flow.events
    tables = {
        change.table.name for change in project(event, flow.inputs.notifications[page.incident_id][page.incident_id])
    }
    assert tables == {"notifications", "outbox"}


def test_one_that_does_not_arrive_makes_nobody_unreachable() -> None:
    flow, page = begun()
    flow.record(failed(page))
    assert not flow.unreachable
    flow, _ = begun()
    flow.register(gone())
    assert not flow.unreachable


def test_a_device_that_is_registered_meanwhile_is_not_sent_it() -> None:
    flow, _ = begun()
    assert flow.register(device("tablet")) == []


def test_it_counts_for_no_incidents_pages() -> None:
    flow, _ = begun()
    flow.page(due())
    assert [is_test(page) for page in flow.pages] == [True, False]


def test_it_tells_nothing_of_how_paging_does() -> None:
    flow, page = begun()
    states = flow.inputs.notifications[page.incident_id]
    flow.record(accepted(page))
    before = measures()._pushes.labels("fcm", "accepted")._value.get()
    state: Any = states[page.notification_id]
    measures().observe([Decided(event, state) for event in flow.events])
    assert measures()._pushes.labels("fcm", "accepted")._value.get() == before


def test_what_is_pushed_says_that_it_is_one_and_names_no_incident() -> None:
    page = a_page(test=True, level=None)
    data = fcm_message(page, "token", NINE)["message"]["data"]
    for told, mark in ((apns_payload(page), True), (data, "true"), (web_payload(page), "true")):
        assert told["test"] == mark
        assert "incidentId" not in told
        assert "level" not in told
    assert apns_minimal_payload(page)["test"] is True
    assert apns_headers(page, topic="a.b", now=NINE)["apns-id"] == str(page.notification_id)
    for told in (apns_payload(a_page()), web_payload(a_page())):
        assert told["incidentId"] == str(a_page().incident_id)
        assert "test" not in told


def test_it_leads_to_the_app() -> None:
    one = uuid4()
    row = Sendable(
        notification_id=one, provider="webpush", lane=Lane.ROUTINE, kind="page", attempt=1, due_at=NINE, deadline=NINE,
        correlation_id=one, causation_id=one, traceparent=None, incident_id=one, user_id=BO, method_id="phone", run=1,
        level=1, paging_since=NINE, number=0, title="This is a test", description="no incident", priority="critical",
        further=0, push_token="", registered_at=NINE, alive=True,
    )  # fmt: skip
    page = page_of(row, "https://pager.example")
    assert (page.test, page.level, page.incident_url) == (True, None, "https://pager.example/app")


def test_its_device_says_what_became_of_it_and_nobody_elses() -> None:
    flow, page = begun()
    for stranger in (CY, None):
        with pytest.raises(NotFound):
            flow.hear(page, ReceiptState.DISPLAYED, stranger)
    assert [type(fact) for fact in flow.hear(page, ReceiptState.DISPLAYED)] == [ReceiptRecorded]
    assert flow.hear(page, ReceiptState.DISPLAYED) == []
    with pytest.raises(NotFound):
        flow.hear(page.model_copy(update={"notification_id": uuid4()}), ReceiptState.OPENED)


def test_receipts_are_kept_by_page_and_by_device() -> None:
    flow = Flow().learn(device())
    flow.page(due())
    (page,) = flow.pages
    flow.hear(page, ReceiptState.DISPLAYED)
    state = flow.inputs.notifications[page.incident_id][page.notification_id]
    receipt, last = project(flow.events[-1], state)
    assert (receipt.table.name, receipt.values["state"], receipt.values["seen_at"]) == ("receipts", "displayed", NINE)
    assert last.values == {"user_id": BO, "device_id": "phone", "at": NINE}
