"""However many people do something with one thing at the same time, each gets the right answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from threading import Event
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from services.incidents import application
from tests.phone import Answer, Phone
from tests.world import World

# A crowd of callers, two replicas of each service and a limit of seconds for each answer: not beside two other worlds.
# Nothing is paged here, so nothing sends.
pytestmark = [pytest.mark.alone, pytest.mark.services("auth", "oncall", "escalation", "incidents")]
POLICY = f"/escalation/policies/{DEFAULT_POLICY_ID}"
SCHEDULE = f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}"


@pytest.fixture
async def crowded(world: World) -> AsyncIterator[World]:
    """Two replicas of each service, which take no turns with one another."""
    twins = [world.twin(name, f"{name}-2") for name in ("incidents", "escalation", "oncall")]
    for twin in twins:
        await twin.start()
    yield world
    for twin in twins:
        await twin.stop()


async def _all(status: int, at_once: int, *calls: Awaitable[Answer]) -> list[dict[str, Any]]:
    """`at_once`: all are in one process here, which has to answer each in time also on a busy machine."""
    places = asyncio.Semaphore(at_once)

    async def one(call: Awaitable[Answer]) -> Answer:
        async with places:
            return await call

    answers = await asyncio.gather(*map(one, calls))
    assert {a.status for a in answers} == {status}, [a.body for a in answers if a.status != status]
    return [next(iter(a.data.values())) for a in answers]


async def test_two_hundred_who_report_the_same_open_one_incident_and_each_is_counted(crowded: World) -> None:
    reports = [{"title": f"db down {n}", "dedupKey": "db"} for n in range(200)]
    both = (crowded.admin, await crowded.person("ana"))
    told = await _all(201, 50, *(both[n % 2].call("POST", "/incidents", body) for n, body in enumerate(reports)))
    assert {i["id"] for i in told} == {(await crowded.incident())["id"]}
    assert sorted(i["alertCount"] for i in told) == list(range(1, 201))


@pytest.mark.parametrize("path", [POLICY, SCHEDULE])
async def test_thirty_changes_of_one_thing_are_made_one_after_the_other(crowded: World, path: str) -> None:
    (before,) = (await crowded.admin.call("GET", path)).data.values()
    told = await _all(200, 15, *(crowded.admin.call("PATCH", path, {"name": f"n{n}"}) for n in range(30)))
    assert {i["name"] for i in told} == {f"n{n}" for n in range(30)}
    assert len({i["version"] for i in told}) == 30
    (after,) = (await crowded.admin.call("GET", path)).data.values()
    assert after == max(told, key=lambda i: int(i["version"]))
    assert after["version"] > before["version"]


async def test_forty_overrides_of_one_schedule_are_all_there(crowded: World) -> None:
    def hours(n: int) -> dict[str, str]:
        start, end = (crowded.clock.now() + timedelta(hours=n + more) for more in (1, 2))
        return {"userId": str(crowded.admin.user_id), "startTime": start.isoformat(), "endTime": end.isoformat()}

    told = await _all(201, 20, *(crowded.admin.call("POST", f"{SCHEDULE}/overrides", hours(n)) for n in range(40)))
    listed = (await crowded.admin.call("GET", f"{SCHEDULE}/overrides?limit=100")).data["overrides"]
    assert {o["id"] for o in listed} == {o["id"] for o in told}
    assert len(listed) == 40
    again = await _all(200, 20, *(crowded.admin.call("DELETE", f"{SCHEDULE}/overrides/{o['id']}") for o in told))
    assert all(o["cancelledAt"] is not None for o in again)


@pytest.mark.services("auth", "incidents")
async def test_who_waits_at_one_incident_keeps_nobody_from_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [await world.person(f"p{n}") for n in range(7)]
    made = [await world.admin.call("POST", "/incidents", {"title": title}) for title in ("db", "web")]
    crowded, other = (UUID(answer.data["incident"]["id"]) for answer in made)
    entered, opened = _held(crowded, monkeypatch)
    crowd = [asyncio.create_task(who.acknowledge(str(crowded))) for who in people for _ in range(8)]
    try:
        async with in_time():
            await entered.wait()
        for _ in range(5):
            answer = await world.admin.acknowledge(str(other))
            assert answer.status == 200, answer.body
        assert not any(task.done() for task in crowd)
    finally:
        opened.set()
    assert {(await task).status for task in crowd} == {200}


@pytest.mark.services("auth", "incidents")
async def test_who_acknowledges_seven_hundred_times_and_hangs_up_keeps_nobody_from_another_incident(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    made = [await world.admin.call("POST", "/incidents", {"title": title}) for title in ("db", "web")]
    crowded, other = (UUID(answer.data["incident"]["id"]) for answer in made)
    entered, opened = _held(crowded, monkeypatch)
    try:
        async with in_time():
            for _ in range(700):
                await _acknowledge_and_hang_up(world, ana, crowded)
            await entered.wait()
        for _ in range(5):
            answer = await bo.acknowledge(str(other))
            assert answer.status == 200, answer.body
    finally:
        opened.set()
    await world.eventually(lambda: bo.acknowledge(str(crowded)), lambda a: a.status == 200, "room at the crowded one")


def _held(crowded: UUID, monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, Event]:
    """Whatever changes this incident's status waits; the first event says that something does, the second ends it."""
    change, entered, opened = application.change, asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def slow(work: Any, incident_id: UUID, *more: Any) -> None:
        if incident_id == crowded:
            loop.call_soon_threadsafe(entered.set)
            assert opened.wait(DEADLINE)
        change(work, incident_id, *more)

    monkeypatch.setattr(application, "change", slow)
    return entered, opened


async def _acknowledge_and_hang_up(world: World, who: Phone, incident: UUID) -> None:
    at = urlsplit(world.gateway.url)
    _, writer = await asyncio.open_connection(at.hostname, at.port)
    path, token = f"/api/v1/incidents/{incident}/acknowledge", who.session["accessToken"]
    head = f"POST {path} HTTP/1.1\r\nHost: pager\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    writer.write(head.encode())
    await writer.drain()
    writer.close()


@pytest.mark.services("auth")
async def test_who_registers_a_device_again_and_again_keeps_nobody_else_from_it(world: World) -> None:
    ana, bo = await world.person("ana", "ios"), await world.person("bo")

    async def register(who: Phone) -> Answer:
        body = {"deviceId": who.device_id, "deviceName": "mine", "platform": "android"}
        return await who.call("POST", "/devices", body | {"pushToken": f"fcm-{who.user_id}"})

    async with await AsyncConnection.connect(world.servers.database_url("superuser", world.database)) as session:
        await session.execute("SELECT FROM auth.users WHERE id = %s FOR UPDATE", (ana.user_id,))
        crowd = [asyncio.create_task(register(ana)) for _ in range(30)]
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        await world.eventually(lambda: _counted(session, waiting), lambda n: n > 0, "somebody who waits for ana")
        for _ in range(5):
            assert (await register(bo)).status == 201
        await session.rollback()
    assert {(await task).status for task in crowd} == {201}


async def _counted(session: AsyncConnection[Any], query: str) -> int:
    row = await (await session.execute(query.encode())).fetchone()
    assert row is not None
    return int(row[0])
