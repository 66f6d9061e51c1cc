"""Whatever senders and people may ask for, each event of its paging is one that can be stored, published and read."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

from libs.chassis.consume.item import Item
from libs.chassis.store.cursors import Position
from libs.chassis.testing.examples import examples
from libs.contracts.codec import CODEC, EVENT_LIMIT
from libs.contracts.defaults import DEFAULT_POLICY_ID
from libs.contracts.envelope import Actor
from libs.contracts.escalation import CreatePolicy, EscalationDue, EscalationExhausted
from libs.contracts.incidents import METADATA_LIMIT, ChangeStatus, CreateIncident
from libs.contracts.leniency import KEY_LIMIT, storable
from libs.contracts.model import Priority, Role
from services.escalation.deciders import POLICY
from services.escalation.domain import policies
from services.escalation.domain.pages import MOST_PAGED
from services.escalation.inputs import ME, Schedule
from services.incidents import application as incidents
from services.incidents.alerts.intake import take_items
from services.incidents.domain.commands import (
    Acknowledge,
)
from services.notifier import application as notifier
from tests.flows.flow import Flow

CROWD = 2010
"""People of every role: more than one page names."""
LARGEST = 1024 * 1024 - 4096
"""Bytes of an alert that the bus carries, with room for its headers."""
ESCAPED = "\x01"
"""JSON spells it with six characters."""
WIDE = "😀"
"""Of what a name may hold, the longest in bytes."""
UNITS = st.text(st.sampled_from('x"\\\x01\x1f\x7fé\u2028😀\ud800'), min_size=1, max_size=4)
NUMBERS = st.sampled_from([1e15, 1e16, -1.7976931348623157e308, 5e-324, int("9" * 1000), 0.1, None, True])
SIZES = st.sampled_from([50, 10_000, 64 * 1024, LARGEST])


def filled(unit: str, size: int) -> str:
    """As much text as JSON spells with `size` characters."""
    return unit * (size // (len(json.dumps(unit)) - 2))


def many(value: Any, size: int) -> list[Any]:
    return [value] * (size // (len(json.dumps(value)) + 2))


def nested(unit: str, size: int) -> dict[str, Any]:
    found: dict[str, Any] = {filled(unit, size): 1}
    for _ in range(30):
        found = {unit: found}
    return found


def item(number: int, body: dict[str, Any], before: bytes = b"") -> Item:
    raw, at = before + json.dumps(body).encode(), Position(0, number, 0, "flow")
    headers = {"Nats-Msg-Id": f"{number}{ESCAPED * 2000}"}
    return Item(at, "", raw, headers, f"pager.alerts.{ESCAPED * 4000}.x", number)  # a line of NATS has 4096 bytes


def send(flow: Flow, alert: Item) -> None:
    flow.take("incidents", lambda work: take_items(work, [alert], flow.incidents_inputs))


def small() -> Flow:
    flow = Flow()
    flow.roles.update({UUID(int=2**127 + n): tuple(Role) for n in range(2)})
    return flow


def crowded(kind: str) -> Flow:
    """An installation of thousands, whose policy has twenty levels with a hundred targets each.

    Of these the very last one alone reaches anybody; all the schedules have a plan and nobody on it.
    """
    flow = Flow()
    flow.roles.update({UUID(int=2**127 + n): tuple(Role) for n in range(CROWD)})
    schedules = {UUID(int=n): Schedule(version=10**9) for n in range(2000)}
    flow.escalation_inputs = replace(flow.escalation_inputs, schedules=schedules)
    targets = [{"type": kind, "id": str(UUID(int=n))} for n in range(2000)]
    targets[-1] = {"type": "role", "role": "user"}
    by_priority = dict.fromkeys(map(str, Priority), 10_079.123456789)
    levels = [
        {"timeoutMinutes": 0.123456789, "timeoutMinutesByPriority": by_priority, "targets": targets[n : n + 100]}
        for n in range(0, 2000, 100)
    ]
    body = CreatePolicy.model_validate({"name": WIDE * 255, "repeat": 100, "levels": levels})
    change = policies.ChangePolicy(name=body.name, repeat=body.repeat, levels=body.levels)
    flow.take("escalation", lambda work: work.decide(POLICY, DEFAULT_POLICY_ID, change, work.begin(ME)))
    return flow


def page_a_few(flow: Flow, unit: str) -> None:
    """The notifier says the same of everybody whom a level names: for each page an event of its own."""
    due = next(e for e in reversed(flow.history) if isinstance(e.data, EscalationDue | EscalationExhausted))
    people = due.data.people[:2]
    device = (unit * 255)[:255].encode("utf-8", "replace").decode()
    flow._registered(people[0].user_id, device)
    few = due.model_copy(update={"data": due.data.model_copy(update={"people": people})})
    flow.take("notifier", lambda work: notifier.page_people(work, [few], flow.notifier_inputs))
    flow.send(accepted=False)


def deliver(flow: Flow, follower: str) -> None:
    while waiting := [pipe for pipe in flow.waiting() if pipe[1] == follower]:
        flow.deliver(waiting[0])


def paged_for(flow: Flow, unit: str) -> None:
    """From the incident to the phone and on to the next levels; nothing in it may be too large."""
    deliver(flow, "escalation")
    for _ in range(2):
        page_a_few(flow, unit)
        timer = flow.next_timer()
        assert timer is not None
        flow.now = timer.due_at
        flow.fire_timers()
    deliver(flow, "incidents")
    sizes = {event.name: len(CODEC.encode(event)) for event in flow.history}
    assert max(sizes.values()) <= EVENT_LIMIT, sizes
    path = {"IncidentCreated", "EscalationStarted", "EscalationDue", "NotificationIntended", "PersonUnreachable"}
    assert path <= set(sizes), "nobody was paged"


METADATA = st.one_of(
    st.builds(lambda unit, size: {unit: filled(unit, size)}, UNITS, SIZES),
    st.builds(lambda value, size: {"many": many(value, size)}, NUMBERS, SIZES),
    st.builds(nested, UNITS, SIZES),
)


def settled(number: int) -> settings:
    return settings(
        max_examples=examples(number), suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )


@pytest.mark.thorough
@settled(15)
@example(ESCAPED, LARGEST, {ESCAPED: filled(ESCAPED, 65_500)})
@example(ESCAPED, 6 * 64 * 1024 + 6, {"many": many(1e15, 65_500)})
@example(ESCAPED, 6 * 64 * 1024 + 6, {"x" * 9: filled(ESCAPED, 65_518)})
@given(UNITS, SIZES, METADATA)
def test_an_alert_of_any_size_that_the_bus_carries_is_paged(unit: str, size: int, metadata: dict[str, Any]) -> None:
    flow = small()
    body: dict[str, Any] = {
        "summary": filled(unit, 6000),
        "dedupKey": "k" + (unit * KEY_LIMIT)[: KEY_LIMIT - 1],
        "metadata": metadata,
    }
    body["description"] = filled(unit, size)
    body["fingerprint"] = "f" + (unit * KEY_LIMIT)[: KEY_LIMIT - 1]
    body["labels"] = {f"{n}{filled(unit, 600)}": filled(unit, 6000) for n in range(60)}
    body["links"] = [{"href": "https://" + '"' * 2000, "text": filled(unit, 6000)}] * 20
    broken = {"severity": 5, "priority": 7, "occurredAt": "yesterday", "action": "dance"}
    for more in ({"routingKey": 5}, {"routingKey": "nobody's", "source": 5}):
        send(flow, item(len(more) + 10, body | broken | more, b"\xef\xbb\xbf"))
    for number, priority in enumerate(("low", "low", "critical"), 1):
        send(flow, item(number, body | {"priority": priority}))
    for number in (4, 5, 6):
        send(flow, item(number, body | {"fingerprint": "another", "summary": f"it says {number}"}))
        flow.now += timedelta(minutes=2)
    told = {event.name for event in flow.history}
    assert {"AlertsGrouped", "PriorityRaised", "PagingRequested", "AlertAdded"} <= told
    paged_for(flow, unit)


@pytest.mark.parametrize("kind", ["schedule", "user", "team"])
def test_the_largest_policy_pages_the_largest_crowd(kind: str) -> None:
    flow = crowded(kind)
    body = {"summary": ESCAPED * 255, "description": ESCAPED * 500, "priority": "critical"}
    send(flow, item(1, body))
    paged_for(flow, ESCAPED)
    assert any(len(e.data.people) == MOST_PAGED for e in flow.history if isinstance(e.data, EscalationDue))


@settled(10)
@example(ESCAPED)
@given(UNITS)
def test_what_a_person_may_ask_for_is_paged_and_can_be_answered(unit: str) -> None:
    flow = small()

    def text(length: int) -> str:
        return str(storable((unit * length)[:length]))

    def line(length: int) -> str:
        return "".join(c if c.isprintable() else WIDE for c in text(length))

    body = CreateIncident(
        title=line(254) + "x", description=text(16_384), dedup_key=line(254) + "x", priority=Priority.CRITICAL,
        metadata={text(8): text(METADATA_LIMIT // 6 - 50)},
    )  # fmt: skip
    flow.take(
        "incidents",
        lambda work: incidents.create_incident(work, body, work.begin(incidents.SERVICE), flow.incidents_inputs),
    )
    incident = flow.history[-1].entity
    paged_for(flow, unit)
    notes = ChangeStatus(id=incident, notes=text(10_000)).notes
    facts = flow.ask(incident, Acknowledge(Actor.user(UUID(int=1)), flow.now, notes))
    assert facts
    assert all(len(CODEC.encode(event)) <= EVENT_LIMIT for event in facts)
