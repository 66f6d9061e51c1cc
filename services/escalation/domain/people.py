"""Whom a level pages: targets become people when the level fires."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

from libs.contracts.escalation import Level, Paged, PlannedLevel, Target, TargetType
from libs.contracts.model import Role, TeamRole

ASSIGNED = "assigned"
"""`via` of the person whom the incident was assigned to when it was created."""
MOST_PLANNED = 500
"""People that a start names: an event must stay below the bus's limit of 1 MiB."""
MOST_OTHERS = 20
"""Of each kind of `Others`: who is woken for a policy of which nobody can be reached is bounded."""
NOBODY_AT_ALL = "nobody at all can be paged: there is no active person"


@dataclass(frozen=True, slots=True)
class OnCall:
    """A schedule at one moment: who is on call, and who has the next shift. Both are active people."""

    user_id: UUID | None = None
    next_id: UUID | None = None
    version: int | None = None
    """Of the schedule whose rules made the plan; None: no plan has arrived."""
    passed_id: UUID | None = None
    """Whose shift it is, where they are deactivated."""


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a team at one moment, in one order; `passed` are those of them who are deactivated."""

    people: Mapping[UUID, TeamRole] = field(default_factory=dict)
    passed: Collection[UUID] = frozenset()

    def with_role(self, role: TeamRole | None) -> list[UUID]:
        """Everybody, or its managers alone; deactivated people among them."""
        return [user for user, held in self.people.items() if role is not TeamRole.MANAGER or held is role]


@dataclass(frozen=True, slots=True)
class Directory:
    """Everybody who could be paged at one moment, as far as the levels in question need it.

    `everyone` is the last resort and is only filled when there is neither a lead nor an admin.
    """

    on_call: Mapping[UUID, OnCall] = field(default_factory=dict)
    by_role: Mapping[Role, tuple[UUID, ...]] = field(default_factory=dict)
    active: Collection[UUID] = frozenset()
    everyone: tuple[UUID, ...] = ()
    teams: Mapping[UUID, Members] = field(default_factory=dict)
    reached: dict[tuple[tuple[Target, ...], UUID | None], Reached] = field(
        default_factory=dict, init=False, compare=False
    )
    """What `reach` has found in it, which is the same for all incidents of a storm."""

    def fallback(self, again: bool) -> tuple[Paged, ...]:
        """Whom to page when no level reaches anybody (promise 9): the leads; `again`, the admins as well.

        Whatever is empty falls through, so nobody is paged only when nobody exists.
        """
        leads, admins = self._role(Role.LEAD, "leads"), self._role(Role.ADMIN, "admins")
        if again:
            return _once((*leads, *admins)) or self._all()
        return leads or admins or self._all()

    def last_resort(self) -> tuple[Paged, ...]:
        """Whom to page when a policy is exhausted: the admins, or whoever there is without them."""
        return self._role(Role.ADMIN, "admins") or self.fallback(again=True)

    def _role(self, role: Role, via: str) -> tuple[Paged, ...]:
        return tuple(Paged(user_id=u, via=via) for u in self.by_role.get(role, ()))

    def _all(self) -> tuple[Paged, ...]:
        return tuple(Paged(user_id=u, via="everyone") for u in self.everyone)


class Others(NamedTuple):
    """Active people who have a device, whoever they are; at most `MOST_OTHERS` of each kind, in this order."""

    admins: tuple[Paged, ...] = ()
    on_call: tuple[Paged, ...] = ()
    """Of any schedule."""
    anybody: tuple[Paged, ...] = ()


NO_OTHERS = Others()


@dataclass(frozen=True, slots=True)
class Reached:
    """The people of a level, each once; `notes` say what was not as the policy wanted it.

    `passed`: who would be among them if they were not deactivated.
    """

    people: tuple[Paged, ...]
    notes: tuple[str, ...]
    schedule_versions: Mapping[str, int]
    passed: tuple[UUID, ...] = ()


def reach(level: Level, directory: Directory, assigned: UUID | None = None) -> Reached:
    """Resolve a level's targets, and `assigned` before them, to active people."""
    found = directory.reached.get((level.targets, assigned))
    if found is None:
        found = directory.reached[level.targets, assigned] = _reach(level, directory, assigned)
    return found


def _reach(level: Level, directory: Directory, assigned: UUID | None) -> Reached:
    people: list[Paged] = []
    notes: list[str] = []
    versions: dict[str, int] = {}
    passed: list[UUID] = []
    if assigned is not None:
        if assigned in directory.active:
            people.append(Paged(user_id=assigned, via=ASSIGNED))
        else:
            notes.append(f"the assigned person {assigned} is not active")
            passed.append(assigned)
    for target in level.targets:
        found, note = _resolve(target, directory)
        people.extend(found)
        passed.extend(_passed(target, directory))
        if note is not None:
            notes.append(note)
        if target.type is TargetType.SCHEDULE and target.id is not None:
            version = directory.on_call.get(target.id, OnCall()).version
            if version is not None:
                versions[str(target.id)] = version
    return Reached(_once(people), tuple(notes), versions, tuple(dict.fromkeys(passed)))


def planned(levels: Iterable[Level], directory: Directory, assigned: UUID | None) -> tuple[PlannedLevel, ...]:
    """Everybody on a policy, each at the first level that would reach them now; at most `MOST_PLANNED` people."""
    seen: set[UUID] = set()
    found: list[PlannedLevel] = []
    for number, level in enumerate(levels, 1):
        reached = reach(level, directory, assigned if number == 1 else None)
        people = [p for p in reached.people if p.user_id not in seen][: MOST_PLANNED - len(seen)]
        seen.update(p.user_id for p in people)
        found.append(PlannedLevel(level=number, people=tuple(people)))
    return tuple(found)


def _resolve(target: Target, directory: Directory) -> tuple[Iterable[Paged], str | None]:
    match target:
        case Target(type=TargetType.SCHEDULE, id=UUID() as schedule):
            return _on_call(schedule, directory.on_call.get(schedule))
        case Target(type=TargetType.USER, id=UUID() as user) if user in directory.active:
            return (Paged(user_id=user, via=f"user:{user}"),), None
        case Target(type=TargetType.USER):
            return (), f"user {target.id} is not active"
        case Target(type=TargetType.ROLE, role=Role() as role):
            users = directory.by_role.get(role, ())
            return (Paged(user_id=u, via=f"role:{role}") for u in users), None if users else f"no active {role}"
        case Target(type=TargetType.TEAM, id=UUID() as team, role=None | TeamRole() as role):
            return _of_team(team, role, directory.teams.get(team))
        case _:
            # No policy is made of it: empty, so the level passes or falls back.
            return (), f"{target.type} {target.id} has nobody"


def _passed(target: Target, directory: Directory) -> tuple[UUID, ...]:
    match target:
        case Target(type=TargetType.SCHEDULE, id=UUID() as schedule):
            now = directory.on_call.get(schedule, OnCall())
            return () if now.user_id is not None or now.passed_id is None else (now.passed_id,)
        case Target(type=TargetType.USER, id=UUID() as user) if user not in directory.active:
            return (user,)
        case Target(type=TargetType.TEAM, id=UUID() as team, role=None | TeamRole() as role):
            members = directory.teams.get(team, Members())
            return tuple(user for user in members.with_role(role) if user in members.passed)
        case _:
            return ()


def via_team(team: UUID, role: TeamRole | None) -> str:
    """How somebody is paged as one of a team, or of its managers."""
    return f"team:{team}:{role}" if role is TeamRole.MANAGER else f"team:{team}"


def _of_team(team: UUID, role: TeamRole | None, members: Members | None) -> tuple[tuple[Paged, ...], str | None]:
    if members is None:
        return (), f"there is no team {team}"
    via = via_team(team, role)
    found = tuple(Paged(user_id=u, via=via) for u in members.with_role(role) if u not in members.passed)
    return found, None if found else f"no active {role or TeamRole.MEMBER} of team {team}"


def _on_call(schedule: UUID, now: OnCall | None) -> tuple[tuple[Paged, ...], str | None]:
    if now is None:
        return (), f"there is no schedule {schedule}"
    if now.user_id is not None:
        return (Paged(user_id=now.user_id, via=f"schedule:{schedule}"),), None
    why = "nobody is on call" if now.passed_id is None else f"{now.passed_id} is deactivated, who is on call"
    if now.next_id is not None:
        paged = Paged(user_id=now.next_id, via=f"schedule:{schedule}:next")
        return (paged,), f"{why} on schedule {schedule}: its next participant is paged"
    if now.passed_id is not None:
        return (), f"{why} on schedule {schedule}, and nobody comes after them"
    return (), f"nobody is or will be on call on schedule {schedule}"


def _once(people: Iterable[Paged]) -> tuple[Paged, ...]:
    """Each person under the first reason that led to them."""
    once: dict[UUID, Paged] = {}
    for paged in people:
        once.setdefault(paged.user_id, paged)
    return tuple(once.values())
