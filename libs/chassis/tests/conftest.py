"""Real servers for the tests that need them; each test has a database and streams of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.chassis.tests.ledger import Ledger
from tests.servers import Servers


@pytest.fixture
async def ledger(servers: Servers) -> AsyncIterator[Ledger]:
    """The log of `incidents` without the service around it."""
    async with servers.fresh() as database, Ledger(servers, database) as made:
        yield made
