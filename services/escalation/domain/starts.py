"""Whom a run pages first, where somebody has asked for more than its level 1."""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.contracts.escalation import RESPONDER, EscalationDue, Paged
from libs.contracts.incidents import PagingStart
from libs.contracts.model import TeamRole
from services.escalation.domain.escalations import Exhausted, StartEscalation, Waiting
from services.escalation.domain.pages import MOST_PAGED, every
from services.escalation.domain.people import ASSIGNED, Members, via_team

FIRST = 0
"""The level before all levels of a policy."""


def wanted(command: StartEscalation) -> range:
    """The levels that the run goes through at first: from the one that was asked for on, or from its last one."""
    levels = every(command)
    asked = command.first.level if command.first is not None else None
    return levels if asked is None else range(min(asked, len(levels)), levels.stop)


def page_first(command: StartEscalation) -> EscalationDue | None:
    """The page of those who stand before all levels; None: there are none who can be paged."""
    people = _people(command, command.first) if command.first is not None else ()
    if command.first is None or not people:
        return None
    minutes = command.plan.minutes(1, command.run.brief.priority, command.run.first_timeout_minutes)
    next_due_at = None if command.first.alone else command.now + timedelta(minutes=minutes)
    return _due(command, FIRST, 1, people, next_due_at)


def page_beside(state: Waiting | Exhausted, command: StartEscalation) -> EscalationDue:
    """The page of those who are asked for help at the place where the levels stand; these go on at their time."""
    people = _people(command, command.first) if command.first is not None else ()
    return _due(command, state.level, state.round, people, state.due_at)


def page_nobody(command: StartEscalation) -> EscalationDue:
    """That nobody is paged, and why."""
    return _due(command, FIRST, 1, (), None)


def _people(command: StartEscalation, first: PagingStart) -> tuple[Paged, ...]:
    if first.leads:
        return _leads(command)
    via = RESPONDER if first.alone or first.goes_on else ASSIGNED
    active = command.directory.active
    return tuple(Paged(user_id=user, via=via) for user in dict.fromkeys(first.user_ids) if user in active)


def _leads(command: StartEscalation) -> tuple[Paged, ...]:
    """The managers of the incident's team; without any, the leads, or else the admins."""
    team = command.run.brief.team_id
    if team is not None:
        members = command.directory.teams.get(team, Members())
        managers = [user for user in members.with_role(TeamRole.MANAGER) if user not in members.passed]
        if managers:
            return tuple(Paged(user_id=user, via=via_team(team, TeamRole.MANAGER)) for user in managers)
    return command.directory.fallback(again=False)


def _due(
    command: StartEscalation, level: int, round_: int, people: tuple[Paged, ...], next_due_at: datetime | None
) -> EscalationDue:
    return EscalationDue(
        incident_id=command.run.brief.incident_id,
        run=command.run.number,
        level=level,
        round=round_,
        people=people[:MOST_PAGED],
        next_due_at=next_due_at,
        reason=None if people else "none of those who were asked for is active",
        brief=command.run.brief,
    )
