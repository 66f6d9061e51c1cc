"""What counting costs: `python -m bench.metrics` prints nanoseconds a call, and milliseconds and bytes a scrape."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from time import perf_counter
from types import SimpleNamespace
from typing import Any, cast

from libs.chassis.bus.connection import Bus
from libs.chassis.measure.meters import Meters
from libs.contracts.model import Lane
from libs.contracts.requests import Reply
from services.gateway.edge import Trace
from services.gateway.metrics import GatewayMetrics
from services.gateway.settings import Settings

_CALLS = 100_000
_ROUNDS = 5


def _nanoseconds(call: Callable[[], object]) -> int:
    """A call's cost in the best of five rounds, without the loop's own."""

    def seconds(what: Callable[[], object]) -> float:
        began = perf_counter()
        for _ in range(_CALLS):
            what()
        return perf_counter() - began

    empty = min(seconds(lambda: None) for _ in range(_ROUNDS))
    return round((min(seconds(call) for _ in range(_ROUNDS)) - empty) / _CALLS * 1e9)


async def _request(meters: Meters) -> int:
    """What is added to a request, without its handler."""
    reply = Reply(ok=True)

    async def answer() -> Reply:
        return reply

    async def seconds(counted: bool) -> float:
        began = perf_counter()
        for _ in range(_CALLS):
            await (meters.request("get", answer()) if counted else answer())
        return perf_counter() - began

    bare = min([await seconds(False) for _ in range(_ROUNDS)])
    return round((min([await seconds(True) for _ in range(_ROUNDS)]) - bare) / _CALLS * 1e9)


async def _ok() -> Reply:
    return Reply(ok=True)


def _gateway() -> GatewayMetrics:
    bus = cast("Bus", SimpleNamespace(on_interruption=lambda _: None, connected=True))
    values: dict[str, Any] = {"nats_url": "nats://127.0.0.1"}
    return GatewayMetrics(bus, Settings(**values))


async def measure() -> dict[str, int | float]:
    """The figures by name."""
    meters, gateway = Meters("bench"), _gateway()
    batch = meters.batches("incidents", Lane.URGENT)
    began = perf_counter()
    figures: dict[str, int | float] = {
        "batch_ns": _nanoseconds(lambda: batch(20, began)),
        "append_ns": _nanoseconds(lambda: meters.appended("work", began)),
        "http_request_ns": _nanoseconds(
            lambda: gateway.answered(Trace("r", status=200), {}, "GET", "/api/v1/incidents/{id}", 0.004)
        ),
        "request_ns": await _request(meters),
    }
    for route in range(40):
        for status in (200, 400, 503):
            gateway.answered(Trace("r", status=status), {}, "GET", f"/api/v1/{route}", 0.01)
    began = perf_counter()
    text = await gateway.own(instance="bench")
    figures |= {"gateway_scrape_ms": round((perf_counter() - began) * 1000, 1), "gateway_scrape_bytes": len(text)}
    for upstream in ("alerts", "escalation", "notifier"):
        for lane in Lane:
            meters.batches(upstream, lane)
    for operation in range(12):
        await meters.request(f"operation_{operation}", _ok())
    began = perf_counter()
    text = meters.text(instance="bench")
    return figures | {"service_scrape_ms": round((perf_counter() - began) * 1000, 1), "service_scrape_bytes": len(text)}


def main() -> None:
    sys.stdout.write(json.dumps(asyncio.run(measure()), indent=2) + "\n")


if __name__ == "__main__":
    main()
