"""The monitor port: three answers, on loopback, and nothing where it was not asked for."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from libs.chassis.measure.metrics import Metrics
from libs.chassis.monitor.port import Monitor, Readiness
from libs.chassis.settings import ServiceSettings, SettingsError


def _settings(**given: Any) -> ServiceSettings:
    values = {"database_url": "postgresql://x", "nats_url": "nats://x", "instance": "a-1"}
    return ServiceSettings(**values | given)


@asynccontextmanager
async def _monitor(reasons: Callable[[], tuple[str, ...]] = tuple, **given: Any) -> AsyncIterator[Monitor]:
    async def ready() -> Readiness:
        status = "unavailable" if reasons() else "ok"
        return Readiness(status=status, service="auth", instance="a-1", reasons=reasons())

    async def text() -> bytes:
        return Metrics("auth").text()

    monitor = Monitor(_settings(**given), ready, text)
    await monitor.start()
    try:
        yield monitor
    finally:
        await monitor.stop()


async def _ask(url: str, method: str = "GET") -> tuple[int, bytes, dict[str, str]]:
    async with aiohttp.ClientSession() as http, http.request(method, url) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def test_without_a_port_nothing_listens() -> None:
    async with _monitor() as monitor:
        assert monitor.url is None


async def test_any_free_port_is_on_loopback_and_answers_probes_and_prometheus() -> None:
    async with _monitor(monitor_port=0) as monitor:
        assert (monitor.url or "").startswith("http://127.0.0.1:")
        assert (await _ask(f"{monitor.url}/live"))[:2] == (200, b'{"status":"ok"}')
        status, body, _ = await _ask(f"{monitor.url}/ready")
        assert (status, body) == (200, b'{"status":"ok","service":"auth","instance":"a-1","reasons":[]}')
        status, body, headers = await _ask(f"{monitor.url}/metrics")
        assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert b'pager_build_info{python="' in body
        assert b"process_resident_memory_bytes" in body


async def test_who_cannot_work_says_why_and_is_alive_all_the_same() -> None:
    trouble = ["bus: away for 9 s", "database: away"]
    async with _monitor(lambda: tuple(trouble), monitor_port=0) as monitor:
        status, body, _ = await _ask(f"{monitor.url}/ready")
        assert status == 503
        assert b'"reasons":["bus: away for 9 s","database: away"]' in body
        assert (await _ask(f"{monitor.url}/live"))[0] == 200
        trouble.clear()
        assert (await _ask(f"{monitor.url}/ready"))[0] == 200


async def test_anything_else_is_refused_by_its_own_status() -> None:
    async with _monitor(monitor_port=0) as monitor:
        for method, path, status in (
            ("HEAD", "/ready", 200),
            ("POST", "/ready", 405),
            ("GET", "/", 404),
            ("GET", "/metrics/", 404),
        ):
            got, body, headers = await _ask(f"{monitor.url}{path}", method)
            assert got == status, path
            assert ("Allow" in headers) == (status == 405), path
            assert (body == b"") == (method == "HEAD"), path


async def test_a_port_that_is_taken_stops_the_process_with_the_settings_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port, refusal = taken.getsockname()[1], r"^PAGER_MONITOR_PORT: cannot listen on 127\.0\.0\.1:\d+: "
        monitor = _monitor(monitor_port=port)
        with pytest.raises(SettingsError, match=refusal):
            await monitor.__aenter__()
