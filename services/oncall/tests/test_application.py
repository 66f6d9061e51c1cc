"""The first admin's schedule, and how a command waits for people: with a database that is only looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from libs.chassis.identity import Caller
from libs.chassis.log import EventLog
from libs.chassis.work import Work
from libs.contracts.auth import UserRegistered
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Lane, Role
from libs.contracts.oncall import AddOverride, CreateSchedule, ScheduleCreated, ShiftsPlanned
from libs.contracts.requests import Forbidden, Invalid, PositionView
from services.oncall.api import api
from services.oncall.application import SCHEDULE, Arrival, Unreachable, create_schedule, learn_people
from services.oncall.projections import people, project
from services.oncall.tests.rules import ANA, BO, CY, layer, utc

NOW = utc("2026-03-04 10:00")
END = PositionView(epoch=1, lanes={Lane.ROUTINE: 9})
LEAD = Caller(ANA, frozenset({Role.LEAD}), uuid4(), "phone", utc("2030-01-01 00:00"))


class EmptyLog:
    def load_many(self, _cursor: Any, ids: Sequence[UUID]) -> Mapping[UUID, list[tuple[str, bytes]]]:
        return {i: [] for i in ids}


@dataclass
class Replica:
    """Stands in for a database session that sees what the consumer commits meanwhile."""

    known: set[UUID]
    position: int = 0
    description: object = True
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def execute(self, sql: str, parameters: Mapping[str, Any]) -> None:
        if "cursors" in sql:
            self._rows = [{"epoch": 1, "position": self.position}]
        else:
            self._rows = [{"user_id": i, "name": "x"} for i in parameters["ids"] if i in self.known]

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


@dataclass
class Waiting:
    """An `Arrival` whose pauses pass at once; `meanwhile` happens in each of them."""

    answer: PositionView | None
    meanwhile: Callable[[], None] = lambda: None
    seconds: float = 0.0

    def arrival(self) -> Arrival:
        return Arrival(lambda: self.answer, self._pause, lambda: self.seconds)

    def _pause(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile()


REQUEST = CreateSchedule(name="Nights", layers=(layer("weekly", "2026-03-02T09:00", ANA, BO),))


def test_people_are_kept_as_auth_registers_them() -> None:
    unit = work()
    learn_people(unit, [registered(ANA, Role.USER), registered(BO, Role.LEAD)])
    assert unit.decided == []
    assert [(c.table, c.values["user_id"], c.values["name"]) for c in unit.changes] == [
        (people, ANA, "Ana Lee"),
        (people, BO, "Ana Lee"),
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


def test_known_people_are_not_waited_for() -> None:
    waiting = Waiting(None)
    view = create_schedule(work(Replica({ANA, BO})), REQUEST, LEAD, waiting.arrival())
    assert (view.version, view.created_by, waiting.seconds) == (1, str(ANA), 0.0)


def test_somebody_just_registered_is_waited_for() -> None:
    replica = Replica({ANA})
    waiting = Waiting(END, meanwhile=lambda: replica.known.add(BO))
    assert create_schedule(work(replica), REQUEST, LEAD, waiting.arrival()).layers == REQUEST.layers


def test_an_unknown_person_is_refused_once_everything_of_auth_is_read() -> None:
    replica = Replica({ANA})

    def read() -> None:
        replica.position += 3

    waiting = Waiting(END, meanwhile=read)
    with pytest.raises(Invalid) as refused:
        create_schedule(work(replica), REQUEST, LEAD, waiting.arrival())
    assert refused.value.field == "layers.0.participants.1"
    assert waiting.seconds < 0.1


def test_an_unknown_person_is_refused_after_a_second_at_the_latest() -> None:
    waiting = Waiting(END)
    with pytest.raises(Invalid):
        create_schedule(work(Replica({ANA})), REQUEST, LEAD, waiting.arrival())
    assert 1.0 <= waiting.seconds < 1.1


def test_an_unknown_person_cannot_be_refused_while_auth_is_away() -> None:
    with pytest.raises(Unreachable):
        create_schedule(work(Replica({ANA})), REQUEST, LEAD, Waiting(None).arrival())


def test_only_leads_and_admins_change_schedules_or_put_others_on_call() -> None:
    operations = api(Waiting(END).arrival()).operations
    user = Caller(CY, frozenset({Role.USER}), uuid4(), "phone", utc("2030-01-01 00:00"))
    hours = {"start_time": utc("2026-03-05 00:00"), "end_time": utc("2026-03-06 00:00")}
    with pytest.raises(Forbidden):
        operations["create_schedule"].handle(work(), REQUEST, user)
    with pytest.raises(Forbidden):
        operations["add_override"].handle(work(), AddOverride(schedule_id=uuid4(), user_id=ANA, **hours), user)


def test_anybody_may_take_over_a_shift() -> None:
    operations = api(Waiting(END).arrival()).operations
    user = Caller(CY, frozenset({Role.USER}), uuid4(), "phone", utc("2030-01-01 00:00"))
    unit = work(Replica({ANA, BO, CY}))
    schedule = create_schedule(unit, REQUEST, LEAD, Waiting(END).arrival())
    hours = {"start_time": utc("2026-03-05 00:00"), "end_time": utc("2026-03-06 00:00")}
    added = operations["add_override"].handle(unit, AddOverride(schedule_id=schedule.id, user_id=CY, **hours), user)
    assert (added.user_id, added.replaces) == (CY, None)
