"""The rows that events write are the plan, also when a rebuild writes them again; the timer keeps the horizon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.store.changes import Cleared, Gone, Row
from libs.chassis.store.tables import chassis_tables
from libs.contracts.auth import DeviceAdded, DeviceRemoved
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.model import Lane
from libs.contracts.oncall import OverrideAdded, OverrideCancelled
from services.oncall.application import SCHEDULE
from services.oncall.commands import (
    AddOverride,
    CancelOverride,
    ChangeSchedule,
    CreateSchedule,
    DeleteSchedule,
    PlanShifts,
)
from services.oncall.projections import cancellations, devices, overrides, plans, project, replicate, schedules, shifts
from services.oncall.tests.rules import ANA, CY, layer, override, utc

ID = UUID(int=7)
NOW = utc("2026-03-04 10:00")
_ONCALL = Actor.service("oncall")
TIMERS = chassis_tables("oncall").timers


class Tables:
    """What `apply_changes` would leave in the tables."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, tuple[Any, ...]], dict[str, Any]] = {}
        self.state: Any = None
        self.version = 0

    def run(self, command: Any) -> Tables:
        self.write(SCHEDULE.decide(command, self.state))
        return self

    def write(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self.version += 1
            self.state = SCHEDULE.evolve(self.state, fact)
            assert self.state is not None
            for change in project(_event(fact, self.version), self.state):
                key = change.table.name, change.key
                if isinstance(change, Cleared):
                    kept = {
                        k: r for k, r in self.rows.items() if k[0] != key[0] or not change.values.items() <= r.items()
                    }
                    self.rows = kept
                elif isinstance(change, Row):
                    self.rows[key] = self.rows.get(key, {}) | dict(change.values)
                else:
                    self.rows.pop(key, None)

    def of(self, table: Any) -> list[dict[str, Any]]:
        return [row for (name, _), row in self.rows.items() if name == table.name]

    def planned(self) -> list[tuple[UUID, datetime, datetime]]:
        rows = sorted(self.of(shifts), key=lambda r: r["start_time"])
        return [(r["user_id"], r["start_time"], r["end_time"]) for r in rows]


def _event(fact: Fact, version: int, actor: Actor = _ONCALL) -> Envelope[Any]:
    return Envelope(
        id=UUID(int=version),
        type=fact.type,
        time=NOW,
        entity=ID,
        version=version,
        lane=Lane.ROUTINE,
        actor=actor,
        correlation_id=UUID(int=1),
        data=fact,
    )


def _split(rows: list[Any], last: int) -> tuple[list[Any], list[Any]]:
    return rows[: len(rows) - last], rows[len(rows) - last :]


def created() -> Tables:
    weekly = layer("weekly", "2026-03-02T09:00")
    return Tables().run(CreateSchedule(ID, "Primary", None, "UTC", True, (weekly,), "ana", NOW))


def test_the_rows_are_the_plan_after_every_kind_of_event() -> None:
    tables = created()
    stand_in = override(CY, "2026-03-04 08:00", "2026-03-05 08:00")
    commands = (
        AddOverride(stand_in, NOW + timedelta(hours=1)),
        CancelOverride(stand_in.id, NOW + timedelta(hours=1, minutes=30)),
        ChangeSchedule(NOW + timedelta(hours=2), layers=(layer("daily", "2026-03-02T09:00", CY, ANA),)),
        PlanShifts(NOW + timedelta(days=10)),
        ChangeSchedule(NOW + timedelta(days=11), is_active=False),
        ChangeSchedule(NOW + timedelta(days=12), is_active=True),
    )
    for command in commands:
        tables.run(command)
        assert tables.state is not None
        over, known = _split(tables.planned(), len(tables.state.planned))
        assert known == [(s.user_id, s.start_time, s.end_time) for s in tables.state.planned]
        assert all(end <= command.now for _, _, end in over), "the tables keep what the state forgets"
        plan = tables.of(plans)[0]
        assert (plan["planned_from"], plan["planned_to"]) == (tables.state.planned_from, tables.state.planned_to)


def test_the_timer_is_due_before_less_than_89_days_are_planned() -> None:
    tables = created()
    due = tables.of(TIMERS)[0]["due_at"]
    assert tables.state is not None
    assert tables.state.planned_to is not None
    assert tables.state.planned_to - due > timedelta(days=89)
    tables.run(PlanShifts(due))
    assert tables.of(TIMERS)[0]["due_at"] > due


def test_an_inactive_schedule_has_no_timer() -> None:
    assert created().run(ChangeSchedule(NOW, is_active=False)).of(TIMERS) == []


def test_a_schedule_that_is_active_again_is_planned_on() -> None:
    tables = Tables().run(CreateSchedule(ID, "Later", None, "UTC", True, (), "ana", NOW))
    due = tables.of(TIMERS)
    tables.run(ChangeSchedule(NOW, is_active=False))
    assert tables.of(TIMERS) == []
    tables.run(ChangeSchedule(NOW, is_active=True))
    assert tables.of(TIMERS) == due
    # Also where its plan is over, and none comes with the change.
    assert tables.run(ChangeSchedule(NOW + timedelta(days=200), is_active=False)).of(TIMERS) == []


def test_a_deleted_schedule_leaves_nothing_behind() -> None:
    tables = created()
    stand_in = override(CY, "2026-03-05 00:00", "2026-03-06 00:00")
    tables.run(AddOverride(stand_in, NOW)).run(CancelOverride(stand_in.id, NOW))
    later = NOW + timedelta(days=200)  # what is over by then is known to the tables alone
    tables.run(AddOverride(override(CY, "2026-10-05 00:00", "2026-10-06 00:00"), later))
    assert tables.state is not None
    assert len(tables.of(shifts)) > len(tables.state.planned)
    tables.run(DeleteSchedule())
    assert {table for table, *_ in tables.rows} == {"audit"}
    tables.run(PlanShifts(later + timedelta(days=10)))
    assert {table for table, *_ in tables.rows} == {"audit"}, "its timer may have been on its way"


def test_a_schedule_s_row_follows_its_rules() -> None:
    tables = created().run(ChangeSchedule(NOW, name="Second", description="nights"))
    row = tables.of(schedules)[0]
    assert (row["name"], row["description"], row["version"]) == ("Second", "nights", 3)
    assert row["layers"][0]["rotationType"] == "weekly"


def test_overrides_keep_the_order_in_which_they_were_added() -> None:
    tables = created()
    for end in ("2026-03-06 00:00", "2026-03-07 00:00"):
        tables.run(AddOverride(override(CY, "2026-03-05 00:00", end), NOW))
    assert [row["added"] for row in tables.of(overrides)] == [3, 5]


def test_an_override_and_its_cancellation_say_by_whom() -> None:
    stand_in = override(CY, "2026-03-05 00:00", "2026-03-06 00:00")
    schedule = created().run(AddOverride(stand_in, NOW)).state
    assert schedule is not None
    added = OverrideAdded(schedule_id=ID, override=stand_in)
    cancelled = OverrideCancelled(schedule_id=ID, override_id=stand_in.id, cancelled_at=NOW)
    rows = {
        change.table.name: dict(change.values)
        for fact in (added, cancelled)
        for change in project(_event(fact, 9, Actor.user(ANA)), schedule)
        if isinstance(change, Row)
    }
    assert (rows[overrides.name]["created_by"], rows[overrides.name]["created_at"]) == (ANA, NOW)
    key = {"override_id": stand_in.id, "schedule_id": ID}
    assert rows[cancellations.name] == key | {"cancelled_by": ANA, "cancelled_at": NOW}


def test_of_a_device_only_whose_it_is_is_kept() -> None:
    added = DeviceAdded(user_id=ANA, device_id="phone")
    removed = DeviceRemoved(user_id=ANA, device_id="phone", reason="signed out")
    key = {"user_id": ANA, "device_id": "phone"}
    assert list(replicate(_event(added, 1))) == [Row(devices, key)]
    assert list(replicate(_event(removed, 2))) == [Gone(devices, key)]
