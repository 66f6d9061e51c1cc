"""The first admin's schedule, and who may name whom: with a database that is only looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from libs.chassis.consume.arrival import Arrival
from libs.chassis.requests.callers import Caller, Unsure
from libs.chassis.store.log import EventLog, Stream
from libs.chassis.store.work import Work
from libs.contracts.auth import UserRegistered
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Lane, Role
from libs.contracts.oncall import AddOverride, CreateSchedule, OverrideView, ScheduleCreated, ShiftsPlanned
from libs.contracts.requests import ErrorKind, Forbidden, Invalid
from services.oncall.api import api
from services.oncall.application import SCHEDULE, NoDevice, awaited, create_schedule, learn_people
from services.oncall.projections import people, project
from services.oncall.tests.rules import ANA, BO, CY, layer, utc

NOW = utc("2026-03-04 10:00")
LEAD = Caller(ANA, frozenset({Role.LEAD}), uuid4(), "phone", utc("2030-01-01 00:00"))


class EmptyLog:
    def load_many(self, _cursor: Any, ids: Sequence[UUID], _shape: str | None = None) -> Mapping[UUID, Stream]:
        return {i: Stream([]) for i in ids}


@dataclass
class Replica:
    """Stands in for a database session that sees what the consumer commits meanwhile.

    `reachable`: those of the known people who have a device; `inactive`: those who are deactivated.
    """

    known: set[UUID]
    reachable: set[UUID] = field(default_factory=set)
    inactive: set[UUID] = field(default_factory=set)
    description: object = True
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        found = self.known & (self.reachable - self.inactive) if "devices" in sql else self.known
        found = found & self.inactive if "NOT oncall.people.is_active" in sql else found
        self._rows = [
            {"user_id": i, "first_name": "x", "last_name": "y", "is_active": i not in self.inactive}
            for i in parameters["ids"]
            if i in found
        ]

    def fetchall(self) -> list[dict[str, Any]]:
        return self._rows


def work(replica: Replica | None = None, now: datetime = NOW) -> Work:
    return Work(now, cast("EventLog", EmptyLog()), cast("Any", replica or Replica(set())), project)


def registered(user: UUID, *roles: Role) -> Envelope[UserRegistered]:
    data = UserRegistered(
        user_id=user, email="a@example.org", first_name="Ana", last_name="Lee", timezone="UTC", roles=roles
    )
    return Envelope(
        id=uuid4(),
        type=data.type,
        time=NOW,
        entity=user,
        version=1,
        lane=Lane.ROUTINE,
        actor=Actor.service("auth"),
        correlation_id=uuid4(),
        data=data,
    )


REQUEST = CreateSchedule(name="Nights", layers=(layer("weekly", "2026-03-02T09:00", ANA, BO),))


def test_people_are_kept_as_auth_registers_them() -> None:
    unit = work()
    learn_people(unit, [registered(ANA, Role.USER), registered(BO, Role.LEAD)])
    assert unit.decided == []
    assert [(c.table, c.values["user_id"], c.values["first_name"]) for c in unit.changes] == [
        (people, ANA, "Ana"),
        (people, BO, "Ana"),
    ]


def test_the_first_admin_is_on_call_in_the_first_schedule() -> None:
    unit = work()
    admin = registered(BO, Role.ADMIN)
    learn_people(unit, [registered(ANA, Role.USER), admin, registered(CY, Role.ADMIN)])
    created, planned = (d.event for d in unit.decided)
    assert isinstance(created.data, ScheduleCreated)
    assert isinstance(planned.data, ShiftsPlanned)
    assert (created.entity, created.data.name, created.causation_id) == (
        DEFAULT_SCHEDULE_ID,
        "Primary On-Call",
        admin.id,
    )
    assert {s.user_id for s in planned.data.shifts} == {BO}
    assert planned.data.shifts[0].start_time == utc("2026-03-02 09:00")


@pytest.mark.parametrize(
    ("now", "start"),
    [
        ("2026-03-02 09:00", "2026-03-02 09:00"),
        ("2026-03-02 08:59", "2026-02-23 09:00"),
        ("2026-03-08 23:59", "2026-03-02 09:00"),
    ],
)
def test_the_first_schedule_began_on_the_last_monday_at_nine(now: str, start: str) -> None:
    unit = work(now=utc(now))
    learn_people(unit, [registered(BO, Role.ADMIN)])
    assert isinstance(unit.decided[1].event.data, ShiftsPlanned)
    assert unit.decided[1].event.data.shifts[0].start_time == utc(start)


def test_a_second_admin_makes_no_second_schedule() -> None:
    unit = work()
    learn_people(unit, [registered(BO, Role.ADMIN)])
    learn_people(unit, [registered(CY, Role.ADMIN)])
    assert len(unit.decided) == 2
    assert unit.state(SCHEDULE, DEFAULT_SCHEDULE_ID) is not None


def test_a_schedule_of_known_people_is_made() -> None:
    view = create_schedule(work(Replica({ANA, BO})), REQUEST, LEAD)
    assert (view.version, view.created_by) == (1, str(ANA))


def test_the_first_unknown_person_is_refused_by_the_field_that_names_them() -> None:
    with pytest.raises(Invalid) as refused:
        create_schedule(work(Replica({ANA})), REQUEST, LEAD)
    assert refused.value.field == "layers.0.participants.1"


async def test_only_leads_and_admins_change_schedules_or_put_others_on_call() -> None:
    operations = api(cast("Arrival", None)).operations
    user = Caller(CY, frozenset({Role.USER}), uuid4(), "phone", utc("2030-01-01 00:00"))
    hours = {"start_time": utc("2026-03-05 00:00"), "end_time": utc("2026-03-06 00:00")}
    override = AddOverride(schedule_id=uuid4(), user_id=ANA, **hours)
    for name, body in (("create_schedule", REQUEST), ("add_override", override)):
        operation = operations[name]
        assert operation.before is not None
        with pytest.raises(Forbidden):
            operation.handle(work(), body, user)
        with pytest.raises(Forbidden):
            await operation.before(body, user)
        # A lead of whom it is long not known whether the session goes on: for overrides as for schedules.
        unsure = replace(user, roles=frozenset({Role.LEAD}), certain=False)
        with pytest.raises(Unsure):
            operation.handle(work(), body, unsure)
        with pytest.raises(Unsure):
            await operation.before(body, unsure)


def caller(user: UUID, *roles: Role) -> Caller:
    return Caller(user, frozenset({Role.USER, *roles}), uuid4(), "phone", utc("2030-01-01 00:00"))


@dataclass
class Scheduled:
    """A schedule of Ana and Bo, in a transaction in which its overrides are asked for."""

    replica: Replica

    def __post_init__(self) -> None:
        self.unit = work(self.replica)
        self.id = create_schedule(self.unit, REQUEST, LEAD).id

    def add(self, who: Caller, person: UUID) -> OverrideView:
        hours = {"start_time": utc("2026-03-05 00:00"), "end_time": utc("2026-03-06 00:00")}
        body = AddOverride(schedule_id=self.id, user_id=person, **hours)
        added: OverrideView = api(cast("Arrival", None)).operations["add_override"].handle(self.unit, body, who)
        return added


def test_a_participant_takes_a_shift_on_a_device_that_can_be_paged() -> None:
    schedule = Scheduled(Replica({ANA, BO}, reachable={BO}))
    added = schedule.add(caller(BO), BO)
    assert (added.user_id, added.created_by, added.created_at, added.reachable) == (BO, BO, NOW, True)
    assert (added.schedule_id, added.cancelled_at) == (schedule.id, None)


def test_who_is_no_participant_takes_no_shift() -> None:
    schedule = Scheduled(Replica({ANA, BO, CY}, reachable={CY}))
    with pytest.raises(Forbidden, match="participants"):
        schedule.add(caller(CY), CY)
    # A lead of whom it is long not known whether the session goes on may be none any more.
    with pytest.raises(Unsure):
        schedule.add(replace(caller(CY, Role.LEAD), certain=False), CY)
    assert schedule.add(caller(CY, Role.LEAD), CY).reachable


@pytest.mark.parametrize("replica", [Replica({ANA, BO}), Replica({ANA, BO}, reachable={ANA})])
def test_who_cannot_be_paged_takes_no_shift_and_a_lead_is_warned(replica: Replica) -> None:
    with pytest.raises(NoDevice) as refused:
        Scheduled(replica).add(caller(BO), BO)
    assert (refused.value.kind, refused.value.field) == (ErrorKind.CONFLICT, "userId")
    assert Scheduled(replica).add(LEAD, BO).reachable is False
    assert Scheduled(replica).add(caller(BO, Role.ADMIN), BO).reachable is False


def test_nobody_who_is_deactivated_is_put_on_call() -> None:
    replica = Replica({ANA, BO}, reachable={ANA, BO})
    schedule = Scheduled(replica)
    replica.inactive = {BO}
    with pytest.raises(Invalid, match="deactivated") as refused:
        schedule.add(LEAD, BO)
    assert refused.value.field == "userId"


def test_a_device_is_waited_for_where_the_shift_depends_on_it() -> None:
    hours = {"start_time": utc("2026-03-05 00:00"), "end_time": utc("2026-03-06 00:00")}
    body = AddOverride(schedule_id=uuid4(), user_id=BO, **hours)
    assert awaited(work(Replica({BO})), body, caller(BO))
    assert not awaited(work(Replica({BO}, reachable={BO})), body, caller(BO))
    # A lead is only warned, and not kept waiting by an auth that is away.
    assert not awaited(work(Replica({BO})), body, LEAD)
    assert awaited(work(Replica(set())), body, LEAD)
