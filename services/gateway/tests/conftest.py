"""One gateway for all tests; each starts with services that answer nothing but their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.gateway.tests.stubs import World, world

HEARD = {"deviceId": "tablet", "lastReceiptAt": "2026-03-02T09:00:00Z"}


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[World]:
    async with world() as everything:
        yield everything


@pytest.fixture
async def pager(running: World) -> AsyncIterator[World]:
    for buckets in running.gateway.front.limits._buckets.values():
        buckets.clear()  # the clock stands still: what the tests before have asked for would count for ever
    await running.stubs.keys()
    await running.stubs.answer("notifier.device_receipts", {"devices": [HEARD]})
    yield running
    await running.stubs.forget()
