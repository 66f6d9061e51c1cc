"""Simulations and unit tests give decisions plain objects: those say what the tables would have said."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from libs.chassis.store.changes import Row
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.chassis.testing.clock import MovableClock
from libs.contracts.envelope import Actor
from libs.contracts.escalation import Level, Target, TargetType
from libs.contracts.model import Role, TeamRole
from services.escalation import projections as tables
from services.escalation.application import follow_incidents, make_first_policies
from services.escalation.domain.escalations import escalation_id
from services.escalation.domain.people import MOST_OTHERS
from services.escalation.domain.policies import Plan
from services.escalation.inputs import Coming, MemoryInputs, Schedule, StoredInputs
from services.escalation.tests.desk import created, requested, said
from services.escalation.tests.world import an_id
from tests.decisions import questions, tables_of
from tests.servers import Servers

PEOPLE = [an_id(f"person {n}") for n in range(6)]
SCHEDULES = [an_id(f"schedule {n}") for n in range(3)]
TEAMS = [an_id(f"team {n}") for n in range(3)]
CLOCK = MovableClock()


@pytest.fixture
async def store(servers: Servers) -> AsyncIterator[Store]:
    async with tables_of("escalation", servers, CLOCK, tables.project) as made:
        yield made


def a_team(chance: random.Random) -> tuple[MemoryInputs, set[UUID]]:
    """Some active people, some who are not (the set), and shifts that touch, overlap or leave gaps around now."""
    gone = set(chance.sample(PEOPLE, chance.randint(0, 3)))
    roles = {p: frozenset(chance.sample(list(Role), chance.randint(0, 2))) for p in PEOPLE if p not in gone}
    schedules: dict[UUID, Schedule] = {}
    for schedule in chance.sample(SCHEDULES, chance.randint(0, 3)):
        spans = []
        for start in chance.sample(range(-4, 5), chance.randint(0, 5)):
            begin = CLOCK.now() + timedelta(hours=start)
            spans.append(tables.Span(begin, begin + timedelta(hours=chance.randint(1, 4)), chance.choice(PEOPLE)))
        schedules[schedule] = Schedule(chance.choice((None, 3)), tuple(spans))
    reachable = frozenset(chance.sample(PEOPLE, chance.randint(0, 6)))
    teams = {
        team: {p: chance.choice(list(TeamRole)) for p in chance.sample(PEOPLE, chance.randint(0, 4))}
        for team in chance.sample(TEAMS, chance.randint(0, 2))
    }
    return MemoryInputs(roles, schedules, reachable=reachable, inactive=frozenset(gone), teams=teams), gone


def write(work: Work, team: MemoryInputs, gone: set[UUID]) -> None:
    for person in PEOPLE:
        roles = sorted(str(role) for role in team.people.get(person, (Role.LEAD,)))
        work.put(Row(tables.people, {"id": person, "roles": roles, "active": person not in gone}))
    for person in PEOPLE:
        # What was registered again since its vendor refused it is alive.
        devices = {"old": -2, "new": 0} if person in team.reachable else {"old": -2}
        for device, hours in devices.items():
            key = {"user_id": person, "device_id": device}
            work.put(Row(tables.devices, key | {"added_at": CLOCK.now() + timedelta(hours=hours)}))
            work.put(Row(tables.retired_tokens, key | {"dead_at": CLOCK.now() - timedelta(hours=1)}))
    for of_team, members in team.teams.items():
        work.put(Row(tables.teams, {"id": of_team}))
        for person, role in members.items():
            work.put(Row(tables.memberships, {"team_id": of_team, "user_id": person, "role": str(role)}))
    for schedule, plan in team.schedules.items():
        work.put(Row(tables.schedules, {"id": schedule, "plan_version": plan.version}))
        for span in plan.shifts:
            times = {"start_time": span.start, "end_time": span.end}
            work.put(Row(tables.shifts, {"schedule_id": schedule, "user_id": span.user_id} | times))


def a_plan(chance: random.Random) -> Plan:
    every = [
        *(Target(type=TargetType.SCHEDULE, id=s) for s in SCHEDULES),
        *(Target(type=TargetType.USER, id=p) for p in PEOPLE),
        *(Target(type=TargetType.ROLE, role=r) for r in Role),
        *(Target(type=TargetType.TEAM, id=t, role=r) for t in TEAMS for r in (None, *TeamRole)),
    ]
    level = Level(timeout_minutes=5, targets=tuple(chance.sample(every, chance.randint(1, 4))))
    return Plan("any", (), repeat=0, levels=(level,))


@pytest.mark.parametrize("seed", range(12))
async def test_whom_a_plan_could_page_is_the_same_from_tables_and_from_objects(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    team, gone = a_team(chance)
    await store.transact(lambda work: write(work, team, gone))
    for _plan in range(40):
        plan, users = a_plan(chance), chance.sample(PEOPLE, 2)

        def both(work: Work, plan: Plan = plan, users: list[UUID] = users) -> None:
            now = work.now
            left = {(TEAMS[0], users[0]): None, (TEAMS[1], users[0]): TeamRole.MEMBER}
            for coming in (Coming(), Coming(users[1:]), Coming((), left)):
                stored = StoredInputs(work).directory([plan], users, now, coming)
                assert stored == team.directory([plan], users, now, coming)
            assert StoredInputs(work).others(users[:1], now) == team.others(users[:1], now)

        await store.read(both)


async def test_many_schedules_of_one_person_take_one_place_also_in_the_tables(store: Store) -> None:
    shift = (tables.Span(CLOCK.now() - timedelta(hours=1), CLOCK.now() + timedelta(hours=1), PEOPLE[0]),)
    schedules = {an_id(f"many {n}"): Schedule(1, shift) for n in range(2 * MOST_OTHERS)}
    schedules[UUID(int=2**128 - 1)] = Schedule(1, (replace(shift[0], user_id=PEOPLE[1]),))
    team = MemoryInputs(dict.fromkeys(PEOPLE, frozenset((Role.LEAD,))), schedules, reachable=frozenset(PEOPLE))
    await store.transact(lambda work: write(work, team, set()))
    found = await store.read(lambda work: StoredInputs(work).others((), work.now))
    assert found == team.others((), CLOCK.now())
    assert {p.user_id for p in found.on_call} == {*PEOPLE[:2]}


async def test_the_cause_of_a_timer_is_the_same_from_tables_and_from_objects(store: Store) -> None:
    event = said(created())
    await store.transact(make_first_policies)
    await store.transact(lambda work: follow_incidents(work, [event]))
    await store.transact(lambda work: follow_incidents(work, [said(requested(2))]))
    ids = [escalation_id(event.data.incident_id)]
    [row] = await store.read(lambda work: work.fetch(select(tables.escalations)))
    assert row["run"] == 2
    found = await store.read(lambda work: StoredInputs(work).causes(ids))
    assert found == MemoryInputs(escalations={ids[0]: row}).causes(ids)
    assert (found[ids[0]].correlation_id, found[ids[0]].actor) == (event.correlation_id, Actor.service("escalation"))


async def test_a_batch_of_new_incidents_asks_three_times_however_many_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.transact(make_first_policies)
    team = MemoryInputs({PEOPLE[0]: frozenset((Role.LEAD,))})
    await store.transact(lambda work: write(work, team, set()))
    asked = questions(monkeypatch)
    incidents = [said(created(incident_id=an_id(f"incident {n}"))) for n in range(50)]
    await store.transact(lambda work: follow_incidents(work, incidents))
    # The policies, the people, and who is on call: new incidents have no escalation to be read.
    assert asked == ["events", "rows", "rows"]
