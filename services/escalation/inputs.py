"""What decisions are given beside events and states: whom could be paged, and what set a timer.

It comes from the tables of a transaction, or from plain objects where there is no database.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from libs.chassis.store.work import Cause, Work
from libs.contracts.envelope import Actor
from libs.contracts.escalation import Paged, TargetType
from libs.contracts.model import Role, TeamRole
from services.escalation.domain.people import MOST_OTHERS, Directory, Members, OnCall, Others
from services.escalation.domain.policies import Plan
from services.escalation.projections import (
    CAUSES,
    EVERYONE,
    ON_CALL,
    PEOPLE,
    POLICIES_OF_TEAMS,
    REACHABLE,
    REACHABLE_OF,
    REACHABLE_ON_CALL,
    RUNS,
    TEAM_PEOPLE,
    Span,
)

ME = Actor.service("escalation")


class Coming(NamedTuple):
    """What this transaction has just heard of people, and is not committed yet."""

    without: Collection[UUID] = ()
    """Those who are being deactivated."""
    roles: Mapping[tuple[UUID, UUID], TeamRole | None] = {}
    """What somebody who was in a team is there from now on, by (team, person); None: they have left it."""


NOTHING_COMES = Coming()


class Inputs(Protocol):
    """Asked once for a whole batch. Two makers: `StoredInputs` asks the tables, `MemoryInputs` holds plain objects."""

    def directory(
        self,
        plans: Iterable[Plan],
        users: Iterable[UUID],
        now: datetime,
        coming: Coming = NOTHING_COMES,
        teams: Collection[UUID] = (),
    ) -> Directory:
        """Everybody whom these plans, the fallbacks, `users` and `teams` could page at this moment."""
        ...

    def policies_of(self, teams: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        """The policies that belong to these teams, each team's oldest first."""
        ...

    def running(self, count: int) -> Sequence[UUID]:
        """Escalations that page, at most so many: those whose next page is the farthest first."""
        ...

    def others(self, without: Collection[UUID], now: datetime) -> Others:
        """Who can be paged at this moment whatever the policy; not those `without`, of whom it is known better."""
        ...

    def causes(self, escalations: Sequence[UUID]) -> Mapping[UUID, Cause]:
        """The events that set their timers: correlation and trace of an incident run through all its levels."""
        ...


@dataclass(frozen=True)
class StoredInputs:
    """Read models and replicas, as committed before this transaction."""

    work: Work

    def directory(
        self,
        plans: Iterable[Plan],
        users: Iterable[UUID],
        now: datetime,
        coming: Coming = NOTHING_COMES,
        teams: Collection[UUID] = (),
    ) -> Directory:
        """In two queries; a third for teams, and one when there is neither a lead nor an admin."""
        wanted, left_out = _wanted(plans, users, teams), list(coming.without)
        roles = [str(role) for role in wanted.roles]
        rows = self.work.fetch(PEOPLE, ids=list(wanted.users), roles=roles, without=left_out)
        by_role = _by_role(wanted.roles, ((row["id"], row["roles"]) for row in rows))
        asked = {"ids": list(wanted.schedules), "moment": now, "without": left_out}
        on_call = self.work.fetch(ON_CALL, **asked) if wanted.schedules else ()
        everyone = self.work.fetch(EVERYONE, without=left_out) if _nobody_falls_back(by_role) else ()
        of_teams = self.work.fetch(TEAM_PEOPLE, ids=list(wanted.teams), without=left_out) if wanted.teams else ()
        return Directory(
            on_call={
                row["id"]: OnCall(row["user_id"], row["next_id"], row["plan_version"], row["passed_id"])
                for row in on_call
            },
            by_role=by_role,
            active={row["id"] for row in rows},
            everyone=tuple(row["id"] for row in everyone),
            teams=_members(((r["id"], r["user_id"], r["role"], r["active"]) for r in of_teams), coming),
        )

    def policies_of(self, teams: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        for row in self.work.fetch(POLICIES_OF_TEAMS, ids=list(teams)) if teams else ():
            found.setdefault(row["team_id"], []).append(row["id"])
        return found

    def others(self, without: Collection[UUID], now: datetime) -> Others:
        """In three queries."""
        bounds = {"without": list(without), "count": MOST_OTHERS}
        return _others(
            [row["id"] for row in self.work.fetch(REACHABLE_OF, **bounds, roles=[str(Role.ADMIN)])],
            [(row["id"], row["schedule_id"]) for row in self.work.fetch(REACHABLE_ON_CALL, **bounds, moment=now)],
            [row["id"] for row in self.work.fetch(REACHABLE, **bounds)],
        )

    def running(self, count: int) -> Sequence[UUID]:
        return [row["id"] for row in self.work.fetch(RUNS, count=count)]

    def causes(self, escalations: Sequence[UUID]) -> Mapping[UUID, Cause]:
        return {row["id"]: _cause(row) for row in self.work.fetch(CAUSES, ids=list(escalations))}


@dataclass(frozen=True)
class Schedule:
    """A schedule's plan: the version of its rules (None: no plan has arrived), and its shifts in any order."""

    version: int | None = None
    shifts: Sequence[Span] = ()


@dataclass(frozen=True)
class MemoryInputs:
    """The same without a database. `escalations`: rows of that table by id, as `Desk.tables` holds them."""

    people: Mapping[UUID, Collection[Role]] = field(default_factory=dict)
    """Active people and their roles."""
    schedules: Mapping[UUID, Schedule] = field(default_factory=dict)
    escalations: Mapping[UUID, Mapping[str, Any]] = field(default_factory=dict)
    reachable: Collection[UUID] = frozenset()
    """Those who have a device."""
    inactive: Collection[UUID] = frozenset()
    """Those who are deactivated."""
    teams: Mapping[UUID, Mapping[UUID, TeamRole]] = field(default_factory=dict)
    policies: Mapping[UUID, Sequence[UUID]] = field(default_factory=dict)
    """Of teams, each team's oldest first."""

    def directory(
        self,
        plans: Iterable[Plan],
        users: Iterable[UUID],
        now: datetime,
        coming: Coming = NOTHING_COMES,
        teams: Collection[UUID] = (),
    ) -> Directory:
        wanted, without = _wanted(plans, users, teams), coming.without
        active = {u: r for u, r in sorted(self.people.items()) if u not in without}
        found = {u: r for u, r in active.items() if u in wanted.users or wanted.roles & set(r)}
        by_role = _by_role(wanted.roles, found.items())
        known = {i: self.schedules[i] for i in wanted.schedules if i in self.schedules}
        left_out = {*self.inactive, *without}
        return Directory(
            on_call={i: _on_call(schedule, active, left_out, now) for i, schedule in known.items()},
            by_role=by_role,
            active=set(found),
            everyone=tuple(active) if _nobody_falls_back(by_role) else (),
            teams=_members(self._of_teams(wanted.teams, active), coming),
        )

    def _of_teams(
        self, teams: Collection[UUID], active: Collection[UUID]
    ) -> Iterator[tuple[UUID, UUID | None, TeamRole | None, bool]]:
        for team in sorted(teams & self.teams.keys()):
            yield team, None, None, False
            yield from ((team, user, role, user in active) for user, role in sorted(self.teams[team].items()))

    def policies_of(self, teams: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        return {team: self.policies[team] for team in teams if team in self.policies}

    def others(self, without: Collection[UUID], now: datetime) -> Others:
        found = [u for u in sorted(self.people) if u in self.reachable and u not in without]
        on_call = {
            _on_call(s, self.people, (), now).user_id: i for i, s in sorted(self.schedules.items(), reverse=True)
        }
        return _others(
            [u for u in found if Role.ADMIN in self.people[u]][:MOST_OTHERS],
            [(user, on_call[user]) for user in found if user in on_call][:MOST_OTHERS],
            found[:MOST_OTHERS],
        )

    def running(self, count: int) -> Sequence[UUID]:
        rows = self.escalations.items()
        found = sorted(i for i, row in rows if row["state"] in ("waiting", "exhausted") and row["next_due_at"])
        return sorted(found, key=lambda i: self.escalations[i]["next_due_at"], reverse=True)[:count]

    def causes(self, escalations: Sequence[UUID]) -> Mapping[UUID, Cause]:
        return {i: _cause(self.escalations[i]) for i in escalations if i in self.escalations}


def _on_call(schedule: Schedule, active: Collection[UUID], inactive: Collection[UUID], now: datetime) -> OnCall:
    """The nearest shift of an active person on each side of the moment, as the query `ON_CALL` finds them."""
    ordered = sorted(schedule.shifts, key=lambda s: s.start)
    current = [s.user_id for s in ordered if s.start <= now < s.end]
    on_call = [u for u in current if u in active][-1:]
    passed = [u for u in current if u in inactive][-1:]
    coming = [s.user_id for s in ordered if s.start > now and s.user_id in active][:1]
    return OnCall(
        user_id=next(iter(on_call), None),
        next_id=next(iter(coming), None),
        version=schedule.version,
        passed_id=next(iter(passed), None),
    )


class _Wanted(NamedTuple):
    """What some plans, the fallbacks and some people need to be known of."""

    schedules: set[UUID]
    users: set[UUID]
    roles: set[Role]
    teams: set[UUID]


def _wanted(plans: Iterable[Plan], users: Iterable[UUID], teams: Collection[UUID]) -> _Wanted:
    targets = {target for plan in plans for level in plan.levels for target in level.targets}
    return _Wanted(
        {t.id for t in targets if t.type is TargetType.SCHEDULE and t.id is not None},
        {*users, *(t.id for t in targets if t.type is TargetType.USER and t.id is not None)},
        {Role.LEAD, Role.ADMIN, *(t.role for t in targets if isinstance(t.role, Role))},
        {*teams, *(t.id for t in targets if t.type is TargetType.TEAM and t.id is not None)},
    )


def _members(rows: Iterable[tuple[UUID, UUID | None, str | None, bool]], coming: Coming) -> Mapping[UUID, Members]:
    """`rows`: (team, person, role, whether they are active) in the order of people; without a person: there is one."""
    people: dict[UUID, dict[UUID, TeamRole]] = {}
    passed: dict[UUID, set[UUID]] = {}
    for team, user, role, active in rows:
        held = people.setdefault(team, {})
        if user is not None and (now := coming.roles.get((team, user), role)) is not None:
            held[user] = TeamRole(now)
            passed.setdefault(team, set()).update(() if active else (user,))
    return {team: Members(held, frozenset(passed.get(team, ()))) for team, held in people.items()}


def _by_role(roles: Iterable[Role], people: Iterable[tuple[UUID, Collection[str]]]) -> dict[Role, tuple[UUID, ...]]:
    by_role: dict[Role, list[UUID]] = {role: [] for role in roles}
    for user, theirs in people:
        for role in by_role.keys() & set(theirs):
            by_role[role].append(user)
    return {role: tuple(users) for role, users in by_role.items()}


def _others(admins: Iterable[UUID], on_call: Iterable[tuple[UUID, UUID]], anybody: Iterable[UUID]) -> Others:
    """`on_call`: people with their schedules."""
    return Others(
        tuple(Paged(user_id=user, via="admins") for user in admins),
        tuple(Paged(user_id=user, via=f"schedule:{schedule}") for user, schedule in on_call),
        tuple(Paged(user_id=user, via="everyone") for user in anybody),
    )


def _nobody_falls_back(by_role: Mapping[Role, tuple[UUID, ...]]) -> bool:
    return not by_role[Role.LEAD] and not by_role[Role.ADMIN]


def _cause(row: Mapping[str, Any]) -> Cause:
    return Cause(ME, row["correlation_id"], row["event_id"], row["traceparent"])
