"""Repeats are counted exactly and told of seldom, and an incident with a long history is answered like a new one."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from nats.js.api import PubAck

from libs.chassis.store.log import EventLog
from libs.chassis.store.snapshots import EVERY
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.envelope import Fact
from libs.contracts.incidents import AlertsGrouped, IncidentAcknowledged
from libs.contracts.subjects import SERVICES
from services.incidents.application import INCIDENT, SERVICE
from services.incidents.domain.commands import (
    Escalate,
)
from services.incidents.domain.incident import Incident, evolve, initial
from services.incidents.projections import repeated
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

TOLD: Decider[Incident, Fact] = Decider(initial, evolve, lambda fact, _: [fact], INCIDENT.lane, INCIDENT.team)
"""What is decided is what it is told."""
LIMIT = 1024 * 1024
"""Of a message on the bus, and so of an answer."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each decision has read."""
    found: list[int] = []
    load_many = EventLog.load_many

    def loaded(*arguments: Any) -> Any:
        streams = load_many(*arguments)
        found.append(max((len(stream.events) for stream in streams.values()), default=0))
        return streams

    monkeypatch.setattr(EventLog, "load_many", loaded)
    return found


async def test_both_lanes_and_people_add_to_one_exact_count_that_a_rebuild_keeps(world: World) -> None:
    alert = {"dedupKey": "db", "priority": "critical"}
    await world.fire_alert("db down", **alert)
    await world.settle()
    incident = (await world.incident())["id"]

    async def lane(source: str) -> list[PubAck]:
        return [await world.fire_alert("db down", source, **alert) for _ in range(150)]

    async def people() -> None:
        body = {"title": "db down", "dedupKey": "db", "priority": "critical"}
        for _ in range(20):
            answer = await world.admin.call("POST", "/incidents", body)
            assert (answer.status, answer.data["incident"]["id"]) == (201, incident)

    await asyncio.gather(lane("db"), lane("db.critical"), people())
    await world.settle()
    assert (await world.incident())["alertCount"] == 1 + 150 + 150 + 20
    events = await world.log("incidents", "AlertsGrouped")
    assert len(events) < 20
    assert all(e.data.alert_count <= 321 for e in events)
    done = await rebuilt(world, "incidents")
    assert differences(done) == {}
    assert (await world.incident())["alertCount"] == 321
    taken = await world.admin.call("POST", f"/incidents/{incident}/acknowledge", {})
    assert taken.data["incident"]["alertCount"] == 321
    (answered,) = await world.log("incidents", "IncidentAcknowledged")
    assert answered.data.alert_count == 321


async def test_one_alert_that_comes_in_both_lanes_at_once_is_one(world: World) -> None:
    """Its id says so; whoever is second looks again."""
    await world.fire_alert("db down", dedupKey="db", priority="critical")
    await world.settle()

    async def send(number: int, source: str) -> None:
        event = {"specversion": "1.0", "id": str(number), "source": "/db", "type": "t"}
        data = {"summary": "db down", "dedupKey": "db", "priority": "critical"}
        body = json.dumps(event | {"data": data}).encode()
        await world.publish(body, source, {"content-type": "application/cloudevents+json"})

    await asyncio.gather(*(send(n, source) for n in range(100) for source in ("db", "db.critical")))
    await world.settle()
    assert (await world.incident())["alertCount"] == 101
    assert await world.parked() == []


async def test_a_repeat_that_has_no_event_shows_at_once(world: World) -> None:
    """In its count and in when it was updated; its version is that of its events."""
    for _ in range(3):
        await world.fire_alert("db down", dedupKey="db")
        await world.settle()
    before = await world.incident()
    world.clock.advance(seconds=30)
    await world.fire_alert("db down", dedupKey="db")
    await world.settle()
    after = (await world.admin.call("GET", f"/incidents/{before['id']}")).data["incident"]
    assert (before["alertCount"], after["alertCount"], after["version"]) == (3, 4, before["version"])
    assert after["updatedAt"] > before["updatedAt"]
    assert await world.incident() == after | {"acknowledgements": []}
    told = [e["summary"] for e in await world.timeline(before["id"]) if e["type"] == "AlertsGrouped"]
    assert told == [f"at least {n} alerts of the same kind" for n in (2, 3)]


async def test_an_alert_beside_the_end_of_its_incident_is_counted_or_opens_the_next(world: World) -> None:
    """Never swallowed: whoever ends it sees it counted, or it sees the end."""
    for number in range(8):
        await world.fire_alert("db down", dedupKey=f"db {number}", priority="critical")
    await world.settle()
    incidents = await world.incidents()

    async def burn(number: int) -> list[PubAck]:
        return [await world.fire_alert("db down", dedupKey=f"db {number}", priority="critical") for _ in range(10)]

    async def end(incident: str) -> None:
        assert (await world.admin.call("POST", f"/incidents/{incident}/resolve", {})).status == 200

    await asyncio.gather(*(burn(n) for n in range(8)), *(end(i["id"]) for i in incidents))
    await world.settle()
    assert sum(i["alertCount"] for i in await world.incidents()) == 8 * 11
    ended = {e.data.incident_id: e.data.alert_count for e in await world.log("incidents", "IncidentResolved")}
    shown = {UUID(i["id"]): i["alertCount"] for i in await world.incidents(status="resolved")}
    assert shown == ended, "what its end says is the last word"


async def long_history(world: World, events: int) -> str:
    """An incident that has been escalated for ever, written as code does it that keeps no states."""
    await world.fire_alert("db down", dedupKey="db", priority="low")
    await world.settle()
    incident = UUID((await world.incident())["id"])
    forgetful, people = replace(INCIDENT, shape=None), tuple(phone.user_id for phone in [world.phone("bo")])

    def write(first: int) -> Any:
        def handler(work: Work) -> None:
            for number in range(first, first + 1000):
                command = Escalate(1, 2, number, people, work.now)
                work.decide(forgetful, incident, command, Cause(SERVICE, incident))

        return handler

    for first in range(2, events + 2, 1000):
        await world.services["incidents"].runtime.work.transact(write(first))
    await world.settle()
    return str(incident)


@pytest.mark.services(*SERVICES)
async def test_an_incident_of_thousands_of_events_is_answered_like_a_new_one(world: World, read: list[int]) -> None:
    ana, _bo = await world.two_responders()
    incident = await long_history(world, 3000)
    await world.fire_alert("db down", dedupKey="db", priority="low")
    await world.settle()
    world.clock.advance(seconds=1)
    # Whoever read all of it once has left its state behind, although that repeat is the first with an event.
    read.clear()
    for _ in range(3):
        await world.fire_alert("db down", dedupKey="db", priority="low")
        await world.settle()
    assert (await ana.acknowledge(incident, "mine")).status == 200
    assert (await world.admin.call("POST", f"/incidents/{incident}/resolve", {})).status == 200
    assert max(read) <= EVERY
    await world.settle()

    found = await world.admin.call("GET", f"/incidents/{incident}")
    assert (found.data["incident"]["status"], found.data["incident"]["alertCount"]) == ("resolved", 5)
    entries = await world.timeline(incident)
    assert len(entries) > 3000
    assert len({e["eventId"] for e in entries}) == len(entries)
    assert [e["at"] for e in entries] == sorted(e["at"] for e in entries)
    assert entries[0]["type"] == "IncidentCreated"
    assert "IncidentResolved" in {e["type"] for e in entries[-10:]}
    for path in ("explain", f"explain?userId={ana.user_id}"):
        explained = await world.admin.call("GET", f"/incidents/{incident}/{path}")
        assert explained.data["people"][0]["chain"]
    told = await world.rpc("incidents", "explanation", {"key": incident})
    assert {p["userId"]: p["outcome"] for p in told.data["people"]}[str(ana.user_id)] == "paged"


async def test_every_page_of_a_timeline_fits_into_a_message_and_all_of_it_is_reached(world: World) -> None:
    """Notes are what is long in it; a page ends before it would be too large, however many were asked for."""
    await world.fire_alert("db down", dedupKey="db", priority="low")
    await world.settle()
    incident = UUID((await world.incident())["id"])
    actor, long = SERVICE.model_copy(update={"id": "x"}), "\\" * 10_000

    def write(work: Work) -> None:
        for number in range(300):
            fact = IncidentAcknowledged(incident_id=incident, by=actor, at=work.now, notes=f"{number} {long}"[:10_000])
            work.decide(TOLD, incident, fact, Cause(SERVICE, incident))

    await world.services["incidents"].runtime.work.transact(write)
    await world.settle()
    entries, sizes, cursor = list[dict[str, Any]](), list[int](), ""
    while True:
        answer = await world.admin.call("GET", f"/incidents/{incident}/timeline?limit=500{cursor}")
        assert answer.status == 200
        entries += answer.data["entries"]
        sizes.append(len(json.dumps(answer.data)))
        if answer.data["nextCursor"] is None:
            break
        cursor = f"&cursor={answer.data['nextCursor']}"
    assert len([e for e in entries if e["type"] == "IncidentAcknowledged"]) == 300
    assert len({e["eventId"] for e in entries}) == len(entries)
    assert len(sizes) > 3
    assert max(sizes) < LIMIT
    assert (await world.admin.call("GET", f"/incidents/{incident}")).status == 200
    assert (await world.admin.call("GET", f"/incidents/{incident}/explain")).status == 200


async def test_a_cursor_of_nobody_is_refused_by_its_name(world: World, subtests: pytest.Subtests) -> None:
    made = (await world.admin.call("POST", "/incidents", {"title": "it burns"})).data["incident"]["id"]
    for cursor in ("x", "////", "MjAyNi0wMy0wMlQwOTowMDowMA", "w7w", "%00"):
        with subtests.test(cursor=cursor):
            answer = await world.admin.call("GET", f"/incidents/{made}/timeline?cursor={cursor}")
            assert (answer.status, answer.body["error"]["details"]["field"]) == (400, "cursor")
    assert (await world.admin.call("GET", f"/incidents/{UUID(int=1)}/timeline")).status == 404


async def test_a_repeat_counts_where_an_older_release_has_counted_in_the_log_alone(world: World) -> None:
    """While both run: what it counted is added to the rows once, whichever lane finds it first."""
    await world.fire_alert("db down", dedupKey="db", priority="critical")
    await world.settle()
    incident = UUID((await world.incident())["id"])

    def as_before(work: Work) -> None:
        for _ in range(6):
            fact = AlertsGrouped(incident_id=incident, count=1, last_at=work.now)
            work.decide(TOLD, incident, fact, Cause(SERVICE, incident))

    work = world.services["incidents"].runtime.work
    await work.transact(as_before)
    assert (await world.incident())["alertCount"] == 7
    await asyncio.gather(*(world.fire_alert("db down", s, dedupKey="db", priority="critical") for s in ("a", "b.high")))
    await world.settle()
    assert (await world.incident())["alertCount"] == 9
    await work.transact(lambda w: w.put(repeated(incident, 1, 1, w.now)))
    assert (await world.incident())["alertCount"] == 10
