"""Whoever adds and cancels overrides without end costs a schedule nothing: it is changed as when it was new."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.chassis.store.log import EventLog
from libs.chassis.store.snapshots import EVERY
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Phone
from tests.world import World

SCHEDULES = "/on-call/schedules"
TABLES = ("schedules", "creations", "plans", "overrides", "cancellations", "shifts", "timers")
A_CHANGE = 3
"""Events: what changes its rules, where its plan of 2,160 shifts differs, and what it has come to reach."""
MOST_TOLD = 10
"""Shifts in all plans of one change of an eight hours' override, which cuts two turns of an hour and hides seven."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """How many events each decision has read of an entity, and how many characters of a snapshot before them."""
    found: list[tuple[int, int]] = []
    load_many = EventLog.load_many

    def loaded(*arguments: Any) -> Any:
        streams = load_many(*arguments)
        found.extend((len(s.events), len(s.snapshot.state) if s.snapshot else 0) for s in streams.values())
        return streams

    monkeypatch.setattr(EventLog, "load_many", loaded)
    return found


async def _pair(world: World, person: Phone, overrides: str, begins: timedelta) -> str:
    """Take a shift and give it back; the override's id."""
    start = world.clock.now() + begins
    moments = {"startTime": _iso(start), "endTime": _iso(start + timedelta(hours=8))}
    added = await person.call("POST", overrides, {"userId": str(person.user_id)} | moments)
    assert added.status == 201, added.body
    override = str(added.data["override"]["id"])
    world.clock.advance(seconds=1)
    cancelled = await person.call("DELETE", f"{overrides}/{override}")
    assert cancelled.status == 200, cancelled.body
    return override


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def _plans(world: World, schedule: str) -> list[Any]:
    return [e.data for e in await world.log("oncall", "ShiftsPlanned") if str(e.entity) == schedule]


async def _rows(world: World, schedule: str) -> int:
    """In all tables of oncall that say something of a schedule."""
    counted = [text(f"SELECT count(*) AS n FROM oncall.{t} t WHERE to_jsonb(t)::text LIKE :id") for t in TABLES]  # noqa: S608
    store = world.services["oncall"].runtime.work
    return sum([(await store.read(lambda w, c=c: w.fetch(c, id=f"%{schedule}%")))[0]["n"] for c in counted])  # type: ignore[misc]


async def test_the_last_of_many_overrides_reads_no_more_than_the_first(
    world: World, read: list[tuple[int, int]]
) -> None:
    ana = await world.person("ana")
    layer = {"start": "2026-01-05T09:00", "participants": [str(ana.user_id)], "rotationType": "hourly"}
    made = await world.admin.call("POST", SCHEDULES, {"name": "Nights", "layers": [layer]})
    schedule = str(made.data["schedule"]["id"])
    path, overrides = f"{SCHEDULES}/{schedule}", f"{SCHEDULES}/{schedule}/overrides"
    pairs = [await _pair(world, ana, overrides, timedelta(minutes=-30 + 60 * (n % 2))) for n in range(15)]
    first = max(kept for _, kept in read)
    assert first > 0, "its state is kept"
    pairs += [await _pair(world, ana, overrides, timedelta(minutes=-30 + 60 * (n % 2))) for n in range(15)]
    # Whoever has read so many keeps what they came to; what is decided on it comes on top.
    assert max(events for events, _ in read) <= EVERY + A_CHANGE
    assert max(kept for _, kept in read) < 1.3 * first
    told = [len(plan.shifts) for plan in await _plans(world, schedule)]
    assert sum(told[:3]) > 2000, "whole, at first"
    assert max(told[3:]) <= MOST_TOLD
    read.clear()
    await world.advance(minutes=24 * 60)
    assert (await _plans(world, schedule))[-1].to_time >= world.clock.now() + timedelta(days=89), "the plan goes on"
    assert max(events for events, _ in read) <= EVERY + A_CHANGE

    # What its state has forgotten is told by the tables, and cancelled once.
    for override in (pairs[0], pairs[-1]):
        told = (await ana.call("GET", f"{overrides}/{override}")).data["override"]
        again = await ana.call("DELETE", f"{overrides}/{override}")
        assert (again.status, again.data["override"]) == (200, told)
        assert told["cancelledBy"] == str(ana.user_id)
    assert (await ana.call("DELETE", f"{overrides}/{uuid4()}")).status == 404
    listed = (await ana.call("GET", f"{overrides}?limit=100")).data["overrides"]
    assert [o["id"] for o in listed] == pairs[::-1]
    assert differences(await rebuilt(world, "oncall", swap=False)) == {}, "the log says the same"

    assert await _rows(world, schedule) > len(pairs)
    gone = await world.admin.call("DELETE", path)
    assert gone.status == 200, gone.body
    assert await _rows(world, schedule) == 0, "nor is anything left of what it had forgotten"
    await world.settle()
    assert differences(await rebuilt(world, "oncall", swap=False)) == {}
