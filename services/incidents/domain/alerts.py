"""The alerts of one incident: which of them burn, how many it has had, and which was the last.

| state | command | events out |
|---|---|---|
| it burns | AddAlert | nothing: it is a repeat, and counted |
| it does not | AddAlert | AlertAdded |
| as many burn, or have been told of, as are held | AddAlert | AlertsOverflowed, once; nothing after that |
| it does not burn | ResolveAlert | nothing |
| others burn, or overflowed, or a person opened the incident | ResolveAlert | AlertResolved |
| it was the last | ResolveAlert | AlertResolved, and what follows from Resolve |
| it was the only one ever | ResolveAlert | what follows from Resolve |

An incident that is over keeps which of them burned: all are over with it, and burn again when it is reopened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from libs.contracts.envelope import Actor, ActorKind, Fact
from libs.contracts.incident_alerts import AlertAdded, AlertResolved, AlertsOverflowed
from libs.contracts.incidents import AlertsGrouped, AlertTotals, IncidentCreated
from libs.contracts.labels import brief

OPEN_AT_ONCE = 200
"""Alerts that may burn in one incident: what is decided about it is read with each of them."""
ADDED_IN_ALL = 1000
"""Further alerts that one incident tells of in its life, those that burn again included: its timeline and its list stay
readable, whatever its sender makes of fingerprints."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """`burning`: by id, what each was told to say, as a digest; of the first the incident itself knows."""

    first: UUID | None = None
    burning: Mapping[UUID, str] = field(default_factory=dict)
    total: int = 0
    """Different ones."""
    added: int = 0
    """AlertAdded so far."""
    beyond: bool = False
    """There were more than are held."""

    @property
    def has_rows(self) -> bool:
        """Whether it has had more than its first, or that was over before the incident: until then none has a row."""
        return self.added > 0 or self.first not in self.burning


@dataclass(frozen=True, slots=True)
class AddAlert:
    """Another alert of the incident came; `fact` says all there is to say."""

    fact: AlertAdded


@dataclass(frozen=True, slots=True)
class ResolveAlert:
    """One alert is over, as its sender says."""

    alert_id: UUID
    by: Actor
    at: datetime


def evolve(state: Alerts, fact: Fact) -> Alerts:
    match fact:
        case IncidentCreated():
            first = fact.alert_id or fact.incident_id
            return Alerts(first, {first: ""}, total=1)
        case AlertAdded():
            burning = {**state.burning, fact.alert_id: digest(fact.title, fact.description)}
            return replace(state, burning=burning, added=state.added + 1, total=state.total + (not fact.again))
        case AlertResolved():
            return replace(state, burning={i: said for i, said in state.burning.items() if i != fact.alert_id})
        case AlertsGrouped(alert_id=UUID() as known, title=str(title)) if known in state.burning:
            return replace(state, burning={**state.burning, known: digest(title, fact.description)})
        case AlertsOverflowed():
            return replace(state, beyond=True)
        case _:
            return state


def digest(title: str, description: str | None) -> str:
    """What an alert says, for telling whether it says something else: as briefly as it is told."""
    return sha256(f"{title}\0{brief(description) or ''}".encode()).hexdigest()[:16]


def totals(state: Alerts, *, is_open: bool) -> AlertTotals:
    """For whoever reads: with the incident all are over."""
    return AlertTotals(open=len(state.burning) if is_open else 0, total=state.total, more=state.beyond)


def is_full(state: Alerts) -> bool:
    """Whether a further alert is counted and no more, and that has been told."""
    return state.beyond and not _has_room(state)


def _has_room(state: Alerts) -> bool:
    return len(state.burning) < OPEN_AT_ONCE and state.added < ADDED_IN_ALL


def add(command: AddAlert, state: Alerts) -> list[Fact]:
    fact = command.fact
    if fact.alert_id in state.burning:
        return []
    if _has_room(state):
        return [fact]
    if state.beyond:
        return []
    return [AlertsOverflowed(incident_id=fact.incident_id, open=len(state.burning), total=state.total, at=fact.at)]


def resolve(command: ResolveAlert, state: Alerts, incident_id: UUID) -> list[Fact]:
    """That it is over; whether the incident is, `is_last` says."""
    if command.alert_id not in state.burning:
        return []
    left = len(state.burning) - 1
    over = AlertResolved(incident_id=incident_id, alert_id=command.alert_id, left=left, by=command.by, at=command.at)
    return [over]


def is_last(alert_id: UUID, state: Alerts, created: IncidentCreated) -> bool:
    """Whether the incident is over with this alert: alerts opened it, and no other of them can still burn."""
    return opened_by_alerts(created) and not state.beyond and set(state.burning) == {alert_id}


def opened_by_alerts(created: IncidentCreated) -> bool:
    """What a person opened, or an API key in their place, ends when they say so."""
    return created.created_by.kind is ActorKind.INTEGRATION
