"""One gateway for all tests; each starts with services that answer nothing but their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.gateway.tests.stubs import World, world


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[World]:
    async with world() as everything:
        yield everything


@pytest.fixture
async def pager(running: World) -> AsyncIterator[World]:
    for buckets in running.gateway.front.limits._buckets.values():
        buckets.clear()  # the clock stands still: what the tests before have asked for would count for ever
    await running.stubs.keys()
    yield running
    await running.stubs.forget()
