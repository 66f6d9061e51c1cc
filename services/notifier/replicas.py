"""What the notifier keeps of its upstreams: devices, answers, and how far paging has got. Pure, for rebuilds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from libs.chassis.store.changes import Change, Cleared, Gone, Newest, Row
from libs.contracts.auth import DeviceRegistered, DeviceRemoved, UserDeactivated, UserReactivated
from libs.contracts.envelope import ActorKind, Envelope
from libs.contracts.erasure import PersonErased
from libs.contracts.escalation import EscalationDue, EscalationExhausted
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
)
from services.notifier.domain.notification import Stop
from services.notifier.domain.place import LOWEST, place_of
from services.notifier.projections import DEVICES, INACTIVE, PAGING, RESPONDERS, STOPPED, provider_of

Answer = IncidentAcknowledged | IncidentResolved | IncidentClosed | IncidentSnoozed | IncidentSuppressed
Due = EscalationDue | EscalationExhausted

_REASONS: dict[type[Answer], str] = {
    IncidentAcknowledged: "acknowledged",
    IncidentResolved: "resolved",
    IncidentClosed: "closed",
    IncidentSnoozed: "snoozed",
    IncidentSuppressed: "suppressed",
}
ANSWERS = tuple(_REASONS)
DEVICE_FACTS = (DeviceRegistered, DeviceRemoved)
ACTIVE_FACTS = (UserDeactivated, UserReactivated)
DUES = (EscalationDue, EscalationExhausted)


def person_change(event: Envelope[Any]) -> Iterable[Change]:
    """The row of a push device, or of somebody who is deactivated; of whoever is erased all devices go."""
    match event.data:
        case DeviceRegistered() as device:
            yield Row(
                DEVICES,
                {
                    "user_id": device.user_id,
                    "device_id": device.device_id,
                    "kind": str(provider_of(device.platform)),
                    "push_token": device.push_token,
                    "registered_at": device.registered_at,
                },
            )
        case DeviceRemoved() as device:
            yield Gone(DEVICES, {"user_id": device.user_id, "device_id": device.device_id})
        case UserDeactivated(user_id=user_id):
            yield Row(INACTIVE, {"user_id": user_id})
        case UserReactivated(user_id=user_id):
            yield Gone(INACTIVE, {"user_id": user_id})
        case PersonErased(user_id=user_id):
            yield Row(INACTIVE, {"user_id": user_id})
            yield Cleared(DEVICES, {"user_id": user_id})


def stop_of(answer: Answer) -> Stop:
    """What an answer says."""
    return Stop(_REASONS[type(answer)], answer.run)


def stop_change(event: Envelope[Answer]) -> Iterable[Change]:
    """The row of an incident's last answer: a parked one that is tried again may be older than what is known."""
    stop = stop_of(event.data)
    row = {"incident_id": event.data.incident_id, "run": stop.run, "at": event.time, "reason": stop.reason}
    # The reason decides between two answers of one commit, so that no order of reading does.
    yield Newest(STOPPED, row, by=("run", "at", "reason"))


def responder_changes(event: Envelope[Answer | Due]) -> Iterable[Change]:
    """The rows of whom an incident of a team has paged, or who has taken it: they see it whatever their teams."""
    fact, team_id = event.data, event.team_id
    people: Iterable[UUID] = ()
    if isinstance(fact, Due):
        people, team_id = (one.user_id for one in fact.people), fact.brief.team_id
    elif isinstance(fact, IncidentAcknowledged) and fact.by.kind is ActorKind.USER:
        people = (UUID(fact.by.id),)
    if team_id is not None:
        for person in people:
            yield Row(RESPONDERS, {"incident_id": fact.incident_id, "user_id": person, "team_id": team_id})


def place_change(event: Envelope[Due]) -> Iterable[Change]:
    """The row of the highest place; none for the lowest, since nothing is below it: most incidents stop there."""
    place = place_of(event.data)
    if place > LOWEST:
        yield Newest(PAGING, {"incident_id": event.data.incident_id, **place._asdict()}, by=("run", "round", "level"))
