"""Read models and timers can be made anew from the logs at any moment: equal, and without anybody noticing."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from libs.chassis.rebuild.origins import Origins
from libs.chassis.rebuild.rebuild import Progress, Rebuild, Rebuilt
from libs.chassis.rebuild.shadow import SUFFIX
from libs.chassis.rebuild.swapping import swap_moment
from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.subjects import SERVICES
from tests.phone import notification_id
from tests.world import World


def origins_of(service: str) -> Origins:
    found: Origins = importlib.import_module(f"services.{service}.origins").ORIGINS
    return found


def _ignored(_done: int, _total: int) -> None:
    return None


async def rebuilt(
    world: World,
    service: str,
    tables: Sequence[str] = (),
    *,
    swap: bool = True,
    progress: Progress = _ignored,
    quiet: float = 3.0,
) -> Rebuilt:
    """What `pager rebuild` does, in a thread, while everything runs."""
    url = world.servers.database_url("owner", world.database)
    made = Rebuild(origins_of(service), url, tables, progress=progress, quiet=quiet)
    return await asyncio.to_thread(made.run, swap=swap)


def differences(done: Rebuilt) -> dict[str, Any]:
    return {name: found.examples for name, found in done.compared.items() if found.differences}


async def query(world: World, statement: str, *parameters: Any) -> list[Any]:
    url = world.servers.database_url("superuser", world.database)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode(), parameters)
        return await cursor.fetchall() if cursor.description else []


async def contents(world: World, service: str) -> dict[str, str]:
    """The bytes of every table that a rebuild makes anew."""
    found = {}
    for name in origins_of(service).repeated:
        every = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {}.{} t"
        rows = await query(world, every.format(service, name))
        found[name] = rows[0][0]
    return found


async def form(world: World, service: str) -> list[Any]:
    """Columns, indexes, constraints, grants, owners and storage settings of a schema, by name."""
    return [
        await query(
            world,
            "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
            " WHERE table_schema = %s ORDER BY 1, ordinal_position",
            service,
        ),
        await query(
            world, "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %s ORDER BY 1, 2", service
        ),
        await query(
            world,
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = %s::regnamespace ORDER BY 1, 2",
            service,
        ),
        await query(
            world,
            "SELECT relname, relowner::regrole::text, (SELECT array_agg(a ORDER BY a) FROM unnest(relacl::text[]) a),"
            " reloptions FROM pg_class WHERE relnamespace = %s::regnamespace ORDER BY 1",
            service,
        ),
    ]


async def a_busy_evening(world: World) -> None:
    """Pages, an escalation, receipts, an acknowledgement, a resolution, a dead token, a test, and pages under way."""
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical", dedupKey="db")
    await ana.expect_push("db down")
    await world.fire_alert("db down", priority="critical", dedupKey="db")
    await world.advance(minutes=5)
    page = notification_id(await bo.expect_push("db down"))
    for state in ("opened", "received"):
        said = {"state": state, "at": world.clock.now().isoformat()}
        assert (await bo.call("POST", f"/notifications/{page}/receipts", said)).status == 200
    assert (await bo.call("POST", "/devices/bo-phone/test")).status == 202
    incident = (await world.incident("db down"))["id"]
    assert (await bo.acknowledge(incident)).status == 200
    await world.settle()
    assert (await world.admin.call("POST", f"/incidents/{incident}/resolve", {"notes": "done"})).status == 200
    await world.simulate("apns", "Unregistered", ana, times=1)
    await world.fire_alert("disk full", source="disk", priority="low")
    await world.settle()
    await world.advance(minutes=1)

    async def titles() -> set[str]:
        return {incident["title"] for incident in await world.incidents()}

    # No other phone of Apple's has taken a page: after a minute the operators are told.
    await world.eventually(titles, lambda found: any("apns refuses devices" in title for title in found), "the alarm")
    await world.settle()


async def test_tables_that_events_have_written_are_what_the_logs_say(world: World) -> None:
    await a_busy_evening(world)
    for service in SERVICES:
        done = await rebuilt(world, service, swap=False)
        assert differences(done) == {}, service
        assert not done.swapped
    for service in ("escalation", "oncall"):
        timers = await query(world, f"SELECT 1 FROM {service}.timers")  # noqa: S608
        assert timers, "there were timers to compare"
    assert await shadows(world) == []


async def test_twice_gives_the_same_bytes_and_tables_that_look_as_before(world: World) -> None:
    await a_busy_evening(world)
    for service in SERVICES:
        before, looked = await contents(world, service), await form(world, service)
        for _time in range(2):
            assert (await rebuilt(world, service)).swapped
            assert await contents(world, service) == before
            assert await form(world, service) == looked
    assert await shadows(world) == []


@pytest.mark.parametrize("quiet", [3.0, 0.0], ids=["in a free moment", "where none is found"])
async def test_the_service_goes_on_while_its_tables_are_replaced(world: World, quiet: float) -> None:
    ana, bo = await world.two_responders()
    for number in range(10):
        await world.fire_alert(f"before {number}", dedupKey=f"before {number}", priority="critical")
    await world.settle()
    stop = asyncio.Event()
    sent: list[str] = []

    async def send() -> None:
        while not stop.is_set():
            title = f"during {len(sent)}"
            await world.fire_alert(title, dedupKey=title, priority="critical" if len(sent) % 2 else "low")
            sent.append(title)
            await world.incidents()

    async def acknowledge() -> None:
        for number in range(10):
            incident = await world.incident(f"before {number}")
            assert (await bo.acknowledge(incident["id"])).status == 200

    sending, answering = asyncio.create_task(send()), asyncio.create_task(acknowledge())
    for service in ("incidents", "escalation", "notifier", "oncall", "auth", "incidents"):
        assert (await rebuilt(world, service, quiet=quiet)).swapped
    await answering
    stop.set()
    await sending
    await world.settle()
    found = {i["title"] for i in await _every_incident(world)}
    assert {f"before {n}" for n in range(10)} | set(sent) <= found
    pushed = {p.to_json().decode() for p in world.simulators.log.read(0, 10_000, device_token=ana.token)}
    assert all(any(title in push for push in pushed) for title in sent), "everybody was paged about everything"
    for service in SERVICES:
        assert differences(await rebuilt(world, service, swap=False)) == {}, service
        assert (await world.health(service))["stopped"] == []
        assert await world.parked(service) == []


async def test_what_is_broken_is_listed_counted_and_cured(world: World) -> None:
    await a_busy_evening(world)
    good = await contents(world, "incidents")
    gone = (await world.incident("db down"))["id"]
    await query(world, "UPDATE incidents.incidents SET status = 'created' WHERE id <> %s", gone)
    await query(world, "DELETE FROM incidents.incidents WHERE id = %s", gone)
    await query(world, "INSERT INTO incidents.dedup_keys VALUES (gen_random_uuid(), gen_random_uuid(), 1, true)")
    checked = await rebuilt(world, "incidents", swap=False)
    found = checked.compared["incidents"]
    assert (found.missing, found.extra, found.changed) == (1, 0, 0) or found.missing == 1
    assert gone in next(e for e in found.examples if e.kind == "missing").key
    assert checked.compared["dedup_keys"].extra == 1
    await rebuilt(world, "incidents", ["incidents"])
    assert differences(await rebuilt(world, "incidents", swap=False)).keys() == {"dedup_keys"}, "only what was named"
    await rebuilt(world, "incidents")
    assert await contents(world, "incidents") == good


async def test_timers_are_part_of_it_and_fire_afterwards(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await query(world, "DELETE FROM escalation.timers")
    done = await rebuilt(world, "escalation", ["timers"])
    assert done.compared["timers"].missing == 1
    await world.advance(minutes=5)
    await bo.expect_push("db down")


async def test_an_interrupted_rebuild_leaves_the_old_tables_and_the_next_one_cleans_up(world: World) -> None:
    await a_busy_evening(world)
    before, looked = await contents(world, "incidents"), await form(world, "incidents")

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuilt(world, "incidents", progress=interrupt)
    assert await contents(world, "incidents") == before
    assert await form(world, "incidents") == looked
    # One that was killed could not clean up after itself.
    await query(world, f"CREATE TABLE incidents.timeline{SUFFIX} (LIKE incidents.timeline)")
    await query(world, f"ALTER TABLE incidents.timeline{SUFFIX} OWNER TO pager_owner")
    done = await rebuilt(world, "incidents")
    assert done.cleaned == [f"timeline{SUFFIX}"]
    assert await contents(world, "incidents") == before


async def test_nothing_is_vacuumed_before_it_is_in_force_and_everything_afterwards(world: World) -> None:
    """A vacuum of what is being filled would hold the swap up, whose locks are waited for briefly."""
    await a_busy_evening(world)
    looked = await form(world, "incidents")
    url = world.servers.database_url("superuser", world.database)
    seen: dict[str, Any] = {}

    def look(_done: int, _total: int) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            query = "SELECT relname, reloptions FROM pg_class WHERE relkind = 'r' AND right(relname, %s) = %s"
            seen.update(dict(connection.execute(query, (len(SUFFIX), SUFFIX)).fetchall()))

    assert (await rebuilt(world, "incidents", progress=look)).swapped
    assert len(seen) == len(origins_of("incidents").repeated)
    assert all("autovacuum_enabled=false" in (options or ()) for options in seen.values())
    assert await form(world, "incidents") == looked


async def test_a_swap_waits_for_readers_without_making_them_fail(world: World) -> None:
    """A reader in the middle of its transaction, which then wants the append lock: the two meet head-on."""
    await world.two_responders()
    store = world.services["incidents"].runtime.rpc
    reading, swapping = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def read_then_append(work: Any) -> int:
        work.cursor.execute("SELECT count(*) FROM incidents.incidents")
        loop.call_soon_threadsafe(reading.set)
        asyncio.run_coroutine_threadsafe(swapping.wait(), loop).result(10)
        work.lock_appends()
        return 1

    def swap() -> None:
        url = world.servers.database_url("owner", world.database)
        with psycopg.connect(url) as connection:
            table = psycopg.sql.Identifier("incidents", "incidents")
            loop.call_soon_threadsafe(swapping.set)
            with swap_moment(connection, "incidents", [table], quiet=0.2):
                pass

    reader = asyncio.create_task(store.read(read_then_append))
    await reading.wait()
    await asyncio.wait_for(asyncio.to_thread(swap), DEADLINE)
    assert await asyncio.wait_for(reader, DEADLINE) == 1


async def _every_incident(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        part = await world.incidents(page=str(page))
        found += part
        if len(part) < 100:
            return found
        page += 1


async def shadows(world: World) -> list[str]:
    rows = await query(world, "SELECT relname FROM pg_class WHERE right(relname, %s) = %s", len(SUFFIX), SUFFIX)
    return [row[0] for row in rows]
