"""Operators see how paging does: what was paged, how fast, what is late, and which process cannot work."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql

from libs.chassis.consume.follower import Follower
from libs.chassis.store.log import advisory_key
from libs.contracts.subjects import SERVICES
from tests.phone import Phone
from tests.scrape import Scraped, get, scrape
from tests.servers import Servers
from tests.world import World

_LEVELS = "escalations_triggered_total"
_LATENCY = "pager_page_latency_seconds_count"


@pytest.fixture
async def watched(servers: Servers) -> AsyncIterator[World]:
    """A world whose processes have monitor ports."""
    async with World(servers, monitor_port=0) as world:
        yield world


def _monitor(world: World, service: str) -> str:
    """Where a service's monitor port is."""
    url = world.services[service].monitoring.monitor.url
    assert url is not None
    return url


async def _ready(world: World, service: str) -> tuple[int, list[str]]:
    """(status, reasons) of a service's /ready."""
    status, text, _ = await get(f"{_monitor(world, service)}/ready")
    return status, json.loads(text)["reasons"]


def _own(world: World, service: str) -> Callable[[], Awaitable[Scraped]]:
    """How to look at a service's own port."""

    async def look() -> Scraped:
        status, text, _ = await get(f"{_monitor(world, service)}/metrics")
        assert status == 200
        return Scraped.parsed(text)

    return look


async def _page_two(world: World) -> tuple[Phone, Phone]:
    """Ana is paged at once, Bo after five minutes."""
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await world.advance(minutes=5)
    await bo.expect_push("db down")
    return ana, bo


async def test_a_page_is_counted_and_timed_once_from_its_incident_to_the_vendors_answer(world: World) -> None:
    # What this process counted in earlier tests stays; what matters is what this page adds.
    before = await scrape(world.gateway)
    ana, _ = await _page_two(world)
    await world.advance(seconds=30)
    assert (await ana.acknowledge((await world.incident())["id"])).status == 200
    await world.settle()

    def added(now: Scraped, name: str, **labels: str) -> float:
        return now.value(name, **labels) - before.value(name, **labels)

    acknowledge = {"service": "incidents", "operation": "acknowledge", "outcome": "ok"}
    now = await world.eventually(
        lambda: scrape(world.gateway),
        lambda s: added(s, "pager_requests_total", **acknowledge) == 1,
        "an answer that is younger than the page",
    )
    assert added(now, "incidents_created_total", priority="critical", source="db") == 1
    assert added(now, _LEVELS, level="1", reason="created") == 1
    assert added(now, _LEVELS, level="2", reason="timeout") == 1
    for provider, kinds in (("apns", 2), ("fcm", 2)):
        # The page, and the silent push that replaces it when somebody has taken it.
        assert added(now, "pager_pushes_total", provider=provider, verdict="accepted") == kinds
        assert added(now, "pager_push_duration_seconds_count", provider=provider) == kinds
        assert added(now, _LATENCY, provider=provider, since="level") == 1
    assert added(now, _LATENCY, provider="apns", since="incident") == 1
    assert added(now, _LATENCY, provider="fcm", since="incident") == 0, "its page was meant to come later"
    assert added(now, "pager_incident_response_seconds_sum", priority="critical") == pytest.approx(330)
    assert added(now, "pager_alert_wait_seconds_count") == 1
    patched = {"method": "PATCH", "endpoint": "/api/v1/escalation/policies/{id}", "status": "200"}
    assert added(now, "http_requests_total", **patched) == 1
    assert added(now, "api_request_duration_seconds_bucket", le="0.5", **patched) <= 1
    assert now.value("api_request_duration_seconds_count", **patched) == now.value("http_requests_total", **patched)


async def test_everybodys_metrics_name_their_service_and_replica_and_only_one_replica_is_active(world: World) -> None:
    second = world.twin("incidents", "incidents-2")
    await second.start()
    try:
        seen = await scrape(world.gateway, len(SERVICES) + 1)
        ready = {(s.labels["service"], s.labels["instance"]) for s in seen.all("pager_ready") if s.value == 1}
        expected = {(name, f"{name}-1") for name in (*SERVICES, "gateway")} | {("incidents", "incidents-2")}
        assert ready == expected
        assert seen.value("pager_active", instance="incidents-1") == 1
        assert seen.value("pager_active", instance="incidents-2") == 0
        assert seen.all("pager_consumer_lag", instance="incidents-2") == [], "who does not consume knows no lag"
        lanes = {(s.labels["upstream"], s.labels["lane"]) for s in seen.all("pager_consumer_lag", service="incidents")}
        upstreams = ("alerts", "escalation", "notifier")
        both = {(upstream, lane) for upstream in upstreams for lane in ("urgent", "routine")}
        assert lanes == both | {("auth", "routine")}
        stopped = seen.all("pager_consumer_stopped", instance="incidents-2")
        assert {(s.labels["upstream"], s.labels["lane"]) for s in stopped} == lanes
        assert {f"{upstream}.{lane}" for upstream, lane in lanes} == set((await world.health("incidents"))["lag"])
    finally:
        await second.stop()


async def test_with_nobody_active_the_late_escalation_the_waiting_incident_and_the_idle_replica_show(
    watched: World,
) -> None:
    ana, _ = await watched.two_responders()
    await watched.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await watched.settle()
    url = watched.servers.database_url("escalation", watched.database)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as usurper:
        await _take_the_lead(usurper, "escalation")
        look = _own(watched, "escalation")
        await watched.eventually(look, lambda s: s.value("pager_active") == 0, "a replica that is not active")
        watched.clock.advance(minutes=15)
        late = await watched.eventually(look, lambda s: s.value("pager_timers_due") == 1, "a timer that is due")
        assert late.value("escalation_delay_seconds") == 600, "level 2 was due ten minutes ago"
        assert late.value("pager_timers_overdue_seconds") == 600
        waiting = await watched.eventually(
            _own(watched, "incidents"),
            lambda s: s.value("pager_incident_unanswered_seconds", priority="critical") == 900,
            "an incident that has waited for a quarter of an hour",
        )
        assert waiting.value("pager_incident_unanswered_seconds", priority="low") == 0
    fired = await watched.eventually(look, lambda s: s.value("escalation_delay_seconds") == 0, "a timer that has fired")
    assert fired.value("pager_active") == 1


async def _take_the_lead(usurper: psycopg.AsyncConnection[Any], service: str) -> None:
    """Ends the active replica's lock session until the lock is ours."""
    key = advisory_key(f"pager/active/{service}")
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE %s AND datname = current_database()"
    )
    for _ in range(100):
        await usurper.execute(ended, (f"pager/{service}/%/lock",))
        row = await (await usurper.execute("SELECT pg_try_advisory_lock(%s)", (key,))).fetchone()
        if row is not None and row[0]:
            return
    raise AssertionError("the lock could not be had")


async def test_a_service_whose_consumer_has_stopped_is_not_ready_and_says_which_and_why(watched: World) -> None:
    await watched.two_responders()
    assert await _ready(watched, "escalation") == (200, [])
    for reader in watched.services["escalation"].readers:
        if isinstance(reader, Follower) and reader.upstream == "incidents":
            _break(reader)
    for number in range(6):
        await watched.fire_alert(f"event {number}", priority="critical")
    _status, (reason,) = await watched.eventually(
        lambda: _ready(watched, "escalation"), lambda answer: answer[0] == 503, "an escalation that is not ready"
    )
    assert reason.startswith("consumption of incidents.urgent has stopped: 5 different events in a row failed")
    assert await _ready(watched, "incidents") == (200, [])
    stopped = await watched.eventually(
        _own(watched, "escalation"),
        lambda s: s.value("pager_parked", kind="failure") == 4,
        "the four that were parked before the fifth",
    )
    assert stopped.value("pager_consumer_stopped", upstream="incidents", lane="urgent") == 1
    assert stopped.value("pager_consumer_stopped", upstream="auth", lane="routine") == 0
    assert stopped.value("pager_ready") == 0
    # A process is not killed for it: that would cure nothing.
    assert (await get(f"{_monitor(watched, 'escalation')}/live"))[0] == 200


def _break(follower: Follower) -> None:
    def fail(_work: Any, _items: Any) -> None:
        raise ZeroDivisionError("a fault of ours")

    follower._applier.take = fail


async def test_without_its_database_a_service_is_not_ready_and_its_metrics_still_come(watched: World) -> None:
    assert await _ready(watched, "notifier") == (200, [])
    await _allow(watched, False)
    try:
        _status, reasons = await watched.eventually(
            lambda: _ready(watched, "notifier"), lambda answer: answer[0] == 503, "a notifier that is not ready"
        )
        assert reasons == ["database: away"]
        seen = await _own(watched, "notifier")()
        assert (seen.value("pager_database_up"), seen.value("pager_bus_connected")) == (0, 1)
        assert seen.all("pager_parked") == [], "nothing is said that is not known"
    finally:
        await _allow(watched, True)
    await watched.eventually(lambda: _ready(watched, "notifier"), lambda answer: answer[0] == 200, "it back again")
    await watched.settle()


async def _allow(world: World, allowed: bool) -> None:
    """Whether anybody may connect to the world's database; sessions that are open end either way."""
    url = world.servers.database_url("superuser", "postgres")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as superuser:
        await superuser.execute(
            sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format(
                sql.Identifier(world.database), sql.Literal(allowed)
            )
        )
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        await superuser.execute(ended, (world.database,))


async def test_a_fault_in_counting_stops_no_page_and_repeats_none(world: World) -> None:
    def fail(_decided: Any) -> None:
        raise ZeroDivisionError("a fault in counting")

    ana, _ = await world.two_responders()
    for name in ("incidents", "escalation", "notifier"):
        world.services[name].parts.watched.observe = fail
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await ana.expect_no_push()
    assert len(await world.incidents()) == 1
    assert [await world.parked(name) for name in ("incidents", "escalation", "notifier")] == [[], [], []]
