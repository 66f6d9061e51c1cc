"""Incidents and integrations: what may happen to them, decided without a clock, a database or a bus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incidents import (
    Acknowledgement,
    AlertsGrouped,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEscalated,
    IncidentResolved,
    IntegrationCreated,
    IntegrationKind,
    Status,
)
from libs.contracts.model import Lane
from libs.contracts.requests import NotFound, Rejected

OPEN = (Status.CREATED, Status.ESCALATED, Status.ACKNOWLEDGED)


class NoSuchIncident(NotFound):
    """There is no such incident."""


class AlreadyOver(Rejected):
    """The incident is already resolved; a new alert with its key opens a new one."""


class NotResolvedYet(Rejected):
    """Only a resolved incident can be closed: resolve it first."""


# --- Incident: state -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incident:
    """`created` is None before the first event: there is no such incident."""

    created: IncidentCreated | None = None
    status: Status = Status.CREATED
    assigned_to: UUID | None = None
    alert_count: int = 1
    updated_at: datetime | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()
    resolved: IncidentResolved | None = None
    closed: IncidentClosed | None = None

    @property
    def lane(self) -> Lane:
        """Fixed at creation (design, rule 3)."""
        return self.created.priority.lane if self.created is not None else Lane.ROUTINE

    @property
    def is_open(self) -> bool:
        return self.created is not None and self.status in OPEN


def initial() -> Incident:
    return Incident()


def evolve(state: Incident, fact: Fact) -> Incident:
    match fact:
        case IncidentCreated():
            return replace(state, created=fact, assigned_to=fact.assigned_to, updated_at=fact.created_at)
        case AlertsGrouped():
            return replace(state, alert_count=state.alert_count + fact.count, updated_at=fact.last_at)
        case IncidentAcknowledged():
            taken = Acknowledgement(user_id=fact.by.id, at=fact.at, notes=fact.notes)
            return replace(
                state,
                status=Status.ACKNOWLEDGED,
                assigned_to=_person(fact.by) or state.assigned_to,
                acknowledgements=(*state.acknowledgements, taken),
                updated_at=fact.at,
            )
        case IncidentEscalated() if state.status is Status.ACKNOWLEDGED:
            return state  # it fired before the acknowledgement was seen: whoever has taken it keeps it
        case IncidentEscalated():
            return replace(state, status=Status.ESCALATED, assigned_to=next(iter(fact.user_ids), state.assigned_to))
        case IncidentResolved():
            return replace(
                state,
                status=Status.RESOLVED,
                resolved=fact,
                updated_at=fact.at,
            )
        case IncidentClosed():
            return replace(state, status=Status.CLOSED, closed=fact, updated_at=fact.at)
        case _:
            return state


def _person(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.kind == "user" else None


# --- Incident: commands ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An alert, or a person, opens it; `fact` says all there is to say."""

    fact: IncidentCreated


@dataclass(frozen=True, slots=True)
class GroupAlerts:
    """`count` repeats came in, the last at `last_at`."""

    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledge:
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Resolve:
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Escalate:
    """A level beyond the first has fired, or the first one again: nobody has answered so far."""

    level: int
    round: int
    user_ids: tuple[UUID, ...]
    next_at: datetime | None
    exhausted: bool = False


Command = OpenIncident | GroupAlerts | Acknowledge | Resolve | Close | Escalate


def decide(command: Command, state: Incident) -> Sequence[Fact]:
    """Repeating a command decides nothing.

    Raises:
        NoSuchIncident, AlreadyOver, NotResolvedYet.
    """
    if isinstance(command, OpenIncident):
        return [command.fact] if state.created is None else []
    if state.created is None:
        raise NoSuchIncident
    incident_id = state.created.incident_id
    match command:
        case GroupAlerts(count, last_at):
            return [AlertsGrouped(incident_id=incident_id, count=count, last_at=last_at)] if state.is_open else []
        case Acknowledge(by, at, notes):
            return _acknowledge(state, by, at, notes)
        case Resolve(by, at, notes):
            return [IncidentResolved(incident_id=incident_id, by=by, at=at, notes=notes)] if state.is_open else []
        case Close(by, at, notes):
            if state.is_open:
                raise NotResolvedYet
            closed = state.status is Status.CLOSED
            return [] if closed else [IncidentClosed(incident_id=incident_id, by=by, at=at, notes=notes)]
        case Escalate(level, round_, user_ids, next_at, exhausted):
            if not state.is_open:
                return []
            return [
                IncidentEscalated(
                    incident_id=incident_id,
                    level=level,
                    round=round_,
                    user_ids=user_ids,
                    next_at=next_at,
                    exhausted=exhausted,
                )
            ]


def _acknowledge(state: Incident, by: Actor, at: datetime, notes: str | None) -> Sequence[Fact]:
    if not state.is_open or state.created is None:
        raise AlreadyOver
    if any(a.user_id == by.id for a in state.acknowledgements):
        return []
    return [IncidentAcknowledged(incident_id=state.created.incident_id, by=by, at=at, notes=notes)]


# --- Integration -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Integration:
    created: IntegrationCreated | None = None


@dataclass(frozen=True, slots=True)
class CreateIntegration:
    integration_id: UUID
    name: str
    kind: IntegrationKind
    policy_id: UUID | None = None
    team_id: UUID | None = None


def no_integration() -> Integration:
    return Integration()


def evolve_integration(state: Integration, fact: Fact) -> Integration:
    return Integration(fact) if isinstance(fact, IntegrationCreated) else state


def decide_integration(command: CreateIntegration, state: Integration) -> Sequence[Fact]:
    if state.created is not None:
        return []
    return [
        IntegrationCreated(
            integration_id=command.integration_id,
            name=command.name,
            kind=command.kind,
            policy_id=command.policy_id,
            team_id=command.team_id,
        )
    ]
