"""A small world for the tests of paging: people, a schedule, a policy of three levels, and commands on them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from libs.chassis.testing.given import Given
from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, Fact
from libs.contracts.escalation import EscalationDue, Level, Target, TargetType
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Lane, Priority, Role
from services.escalation.deciders import ESCALATION
from services.escalation.domain.escalations import (
    CancelEscalation,
    Exhausted,
    FireTimer,
    ReportUnreachable,
    Run,
    StartEscalation,
    State,
    Waiting,
)
from services.escalation.domain.people import Directory, OnCall, planned
from services.escalation.domain.policies import Plan

NOW = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
"""Half an hour before Europe's clocks change: what is a duration must not notice."""


def an_id(name: str) -> UUID:
    return uuid5(PAGER, f"test/{name}")


ANN, BO, CY, DEE = (an_id(n) for n in ("ann", "bo", "cy", "dee"))
SCHEDULE, INCIDENT, POLICY = an_id("schedule"), an_id("incident"), an_id("policy")
BRIEF = IncidentBrief(incident_id=INCIDENT, number=1, title="db down", priority=Priority.CRITICAL)

ON_CALL_LEVEL = Level(timeout_minutes=15, targets=(Target(type=TargetType.SCHEDULE, id=SCHEDULE),))
LEADS_LEVEL = Level(timeout_minutes=10, targets=(Target(type=TargetType.ROLE, role=Role.LEAD),))
ADMINS_LEVEL = Level(timeout_minutes=5, targets=(Target(type=TargetType.ROLE, role=Role.ADMIN),))
PLAN = Plan("Default", (), repeat=1, levels=(ON_CALL_LEVEL, LEADS_LEVEL, ADMINS_LEVEL))

EVERYBODY = Directory(
    on_call={SCHEDULE: OnCall(ANN, BO, version=4)},
    by_role={Role.LEAD: (CY,), Role.ADMIN: (DEE,)},
    active=frozenset((ANN, BO, CY, DEE)),
)
ONLY_AN_ADMIN = Directory(by_role={Role.ADMIN: (DEE,)}, active=frozenset((DEE,)))

DECIDER = ESCALATION[Lane.URGENT]
NOTHING = Given(DECIDER, [])
TEAM_LEVEL = ON_CALL_LEVEL.model_copy(update={"targets": (Target(type=TargetType.TEAM, id=INCIDENT),)})


def start(number: int = 1, **changes: Any) -> StartEscalation:
    """Run `number`; changes of the command or of its run."""
    of_run: dict[str, Any] = {
        "brief": BRIEF,
        "policy_id": POLICY,
        "policy_version": 1,
        "first_timeout_minutes": None,
        "assigned": None,
    }
    of_run |= {name: changes.pop(name) for name in of_run.keys() & changes.keys()}
    values: dict[str, Any] = {"plan": PLAN, "directory": EVERYBODY, "now": NOW}
    values |= changes
    values.setdefault("planned", planned(values["plan"].levels, values["directory"], of_run["assigned"]))
    return StartEscalation(Run(number, **of_run), **values)


def fire(due_at: datetime, **changes: Any) -> FireTimer:
    values: dict[str, Any] = {"plan": PLAN, "directory": EVERYBODY, "now": due_at}
    return FireTimer(due_at, **(values | changes))


def take(cause: str = "acknowledged", number: int = 1) -> CancelEscalation:
    """An answer to run `number` and all before it."""
    return CancelEscalation(INCIDENT, number, Actor.user(ANN), NOW, cause)


def unreachable(user: UUID, given: Given[State], **changes: Any) -> ReportUnreachable:
    """The notifier's report of somebody on the level that was paged last; changes of that."""
    state = given.state()
    assert isinstance(state, Waiting | Exhausted)
    values: dict[str, Any] = {"run": state.run.number, "level": state.level, "round": state.round}
    values |= {"plan": PLAN, "directory": EVERYBODY, "now": NOW}
    return ReportUnreachable(user_id=user, **(values | changes))


def minutes(amount: float) -> timedelta:
    return timedelta(minutes=amount)


def only_due(facts: list[Fact]) -> EscalationDue:
    """The one page among the facts of a decision."""
    [due] = [f for f in facts if isinstance(f, EscalationDue)]
    return due


def due_of(given: Given[State]) -> datetime:
    state = given.state()
    assert isinstance(state, Waiting | Exhausted)
    assert state.due_at is not None
    return state.due_at


def after_timers(given: Given[State], times: int) -> Given[State]:
    for _ in range(times):
        given = Given(DECIDER, [*given.facts, *given.when(fire(due_of(given))).facts])
    return given
