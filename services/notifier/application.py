"""The notifier's shell: what each input means for devices, notifications, people and tokens, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, select

from libs.chassis.store.log import advisory_key
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.auth import Platform
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.escalation import EscalationDue, EscalationExhausted
from libs.contracts.model import Lane
from services.notifier import projections as tables
from services.notifier.domain import decisions, notification, person, token
from services.notifier.domain.ids import notification_id, token_id, unreachable_id
from services.notifier.domain.notification import (
    ExpireNotification,
    IntendNotification,
    RecordAccepted,
    RecordFailure,
    Stop,
    StopNotification,
)
from services.notifier.domain.person import ReportUnreachable
from services.notifier.domain.token import RetireToken
from services.notifier.replicas import device_change, later_stop, stop_change, stop_of

ACTOR = Actor.service("notifier")
NO_DEVICE = "no device"

NOTIFICATION: Decider[notification.State, notification.Command] = Decider(
    notification.initial,
    notification.evolve,
    decisions.decide,
    lane=lambda state: state.intent.lane if state else Lane.ROUTINE,
    team=lambda state: state.intent.brief.team_id if state else None,
    # What came of sending it will be recorded soon.
    keep=lambda state: state is not None and state.sending is not None,
)
TOKEN: Decider[token.State, RetireToken] = Decider(token.initial, token.evolve, token.decide)
_PERSON: Decider[person.State, ReportUnreachable] = Decider(person.initial, person.evolve, person.decide)
# Said in the lane of the event that wanted the person.
PERSON: Mapping[Lane, Decider[person.State, ReportUnreachable]] = {
    Lane.URGENT: replace(_PERSON, lane=lambda _: Lane.URGENT),
    Lane.ROUTINE: _PERSON,
}

_TURN = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))

Due = Envelope[EscalationDue] | Envelope[EscalationExhausted]
Device = Mapping[str, Any]


class Sent(NamedTuple):
    """One attempt's end, to be recorded; `cause` is the chain of events that the notification belongs to."""

    notification_id: UUID
    command: RecordAccepted | RecordFailure | ExpireNotification
    cause: Cause
    dead: RetireToken | None = None
    """The token that the vendor called dead for sure."""


def follow_devices(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Keep the replica of push devices."""
    for event in events:
        work.put(*device_change(event))


def page_people(work: Work, events: Sequence[Due]) -> None:
    """An intent for each person and device of each due level; a person without a device is named unreachable."""
    _take_turns(work, events)
    people = {event.id: list(dict.fromkeys(p.user_id for p in event.data.people)) for event in events}
    devices = _devices_of(work, {u for users in people.values() for u in users})
    stops = _stops_of(work, {event.data.incident_id for event in events})
    wanted = [(event, user) for event in events for user in people[event.id]]
    pages = [
        (notification_id(event.id, user, device["device_id"]), event, user, device)
        for event, user in wanted
        for device in devices.get(user, ())
    ]
    unreachable = [(event, user) for event, user in wanted if user not in devices]
    work.expect_new(NOTIFICATION, [page for page, *_ in pages])
    work.load(_PERSON, [unreachable_id(event.id, user) for event, user in unreachable])
    for page, event, user, device in pages:
        intend = _intention(page, event, user, device, stops.get(event.data.incident_id), work.now)
        work.decide(NOTIFICATION, page, intend, Cause.event(event, ACTOR))
    for event, user in unreachable:
        _report(work, event, user)


def stop_incidents(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Withdraw what is not sent, replace what phones show, and remember the stop for a due that comes later."""
    _take_turns(work, events)
    incidents = {event.data.incident_id for event in events}
    known = _stops_of(work, incidents)
    concerned: dict[UUID, list[UUID]] = {}
    for row in work.fetch(tables.TO_STOP, ids=list(incidents)):
        concerned.setdefault(row["incident_id"], []).append(row["id"])
    work.load(NOTIFICATION, [i for ids in concerned.values() for i in ids])
    for event in events:
        incident = event.data.incident_id
        stop = stop_of(event)
        known[incident] = later_stop(known.get(incident), event)
        work.put(*stop_change(event, known[incident]))
        for one in concerned.get(incident, ()):
            work.decide(NOTIFICATION, one, StopNotification(stop, work.now), Cause.event(event, ACTOR))


def record(work: Work, results: Sequence[Sent]) -> None:
    """Write down what became of attempts, whatever has happened to their notifications meanwhile."""
    work.load(NOTIFICATION, [r.notification_id for r in results])
    for result in results:
        work.decide(NOTIFICATION, result.notification_id, result.command, result.cause)
    retire(work, [(r.dead, r.cause) for r in results if r.dead is not None])


def retire(work: Work, dead: Sequence[tuple[RetireToken, Cause]]) -> None:
    """Page these tokens no more, until they are registered anew."""
    work.load(TOKEN, [token_id(d.user_id, d.device_id) for d, _ in dead])
    for command, cause in dead:
        work.decide(TOKEN, token_id(command.user_id, command.device_id), command, cause)


def _take_turns(work: Work, events: Iterable[Envelope[Any]]) -> None:
    """Let stops and dues of a lane be handled one after the other.

    Side by side neither would see what the other is about to commit, and a page could stay on a phone unreplaced.
    """
    for lane in sorted({event.lane for event in events}):
        work.fetch(_TURN, key=advisory_key(f"pager/notifier/turn/{lane}"))


def _devices_of(work: Work, users: Iterable[UUID]) -> dict[UUID, list[Device]]:
    """Living devices by person; a token that is registered twice counts once, for its newest device."""
    devices: dict[UUID, list[Device]] = {}
    seen: set[tuple[UUID, str]] = set()
    for row in work.fetch(tables.DEVICES_OF, ids=list(users)):
        if (row["user_id"], row["push_token"]) not in seen:
            seen.add((row["user_id"], row["push_token"]))
            devices.setdefault(row["user_id"], []).append(row)
    return devices


def _stops_of(work: Work, incidents: Iterable[UUID]) -> dict[UUID, Stop]:
    rows = work.fetch(tables.STOPS_OF, ids=list(incidents))
    return {row["incident_id"]: Stop(row["reason"], row["at"]) for row in rows}


def _intention(
    page: UUID, event: Due, user: UUID, device: Device, stop: Stop | None, now: datetime
) -> IntendNotification:
    due = event.data
    return IntendNotification(
        notification_id=page,
        user_id=user,
        device_id=device["device_id"],
        platform=Platform(device["platform"]),
        level=due.level,
        round=due.round,
        lane=event.lane,
        brief=due.brief,
        decided_at=event.time,
        next_due_at=due.next_due_at,
        stop=stop,
        now=now,
    )


def _report(work: Work, event: Due, user: UUID) -> None:
    due = event.data
    report = ReportUnreachable(due.incident_id, user, due.level, due.round, NO_DEVICE, work.now)
    work.decide(PERSON[event.lane], unreachable_id(event.id, user), report, Cause.event(event, ACTOR))
