"""Whoever looks things up, however slowly the database answers, keeps no responder from acknowledging."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from libs.chassis.testing.deadline import in_time
from tests.phone import Answer
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

_EIGHT = 8
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%integrations%'"


async def test_an_acknowledgement_beside_eight_lists_that_hang(world: World) -> None:
    await world.fire_alert()
    incident = await world.incident()
    url = world.servers.database_url("superuser", world.database)
    async with (
        await psycopg.AsyncConnection.connect(url) as holder,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as watching,
    ):
        await holder.execute("LOCK TABLE incidents.integrations IN ACCESS EXCLUSIVE MODE")
        lists = [asyncio.create_task(world.admin.call("GET", "/integrations")) for _ in range(_EIGHT)]
        async with in_time():
            while not await _count(watching):
                await asyncio.sleep(0.01)
        assert (await world.admin.acknowledge(incident["id"])).data["incident"]["status"] == "acknowledged"
        answers: list[Answer] = [await one for one in lists]
        assert {(a.status, a.headers.get("Retry-After")) for a in answers} == {(503, "1")}, "and none of them hangs on"
    assert (await world.admin.call("GET", "/integrations")).status == 200


async def _count(watching: psycopg.AsyncConnection[tuple[int]]) -> int:
    row = await (await watching.execute(_WAITING)).fetchone()
    return 0 if row is None else row[0]
