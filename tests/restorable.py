"""A world whose bus loses what it had stored since a back-up."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home
from cli.embedded.database import DATABASE, database_setup
from libs.chassis.bus.sending import has_sent
from libs.chassis.store.migrate import upgrade
from libs.contracts.subjects import ALERTS, SERVICES
from tests.servers import Servers
from tests.world import World


@dataclass
class Restorable:
    """A world whose bus can be stopped, to copy a stream from its disk and to put it back."""

    world: World
    bus: EmbeddedNats
    home: Path

    @property
    def _kept(self) -> Path:
        return self.home / "kept"

    def _stream(self) -> Path:
        (found,) = (self.home / "nats").rglob(f"streams/{ALERTS}")
        return found

    async def back_up(self) -> None:
        await self.bus.kill()
        # With its owners: as root, servers run as somebody else.
        await (await asyncio.create_subprocess_exec("cp", "-a", self._stream(), self._kept)).wait()
        await self._start()

    async def restore(self) -> None:
        """The stream as it was, with the creation time that it had."""
        await self.bus.kill()
        stream = self._stream()
        shutil.rmtree(stream)
        shutil.move(self._kept, stream)
        await self._start()

    async def _start(self) -> None:
        await self.bus.restart()
        await has_sent(self.world.sender)
        await has_sent(self.world.operator)


@asynccontextmanager
async def restorable_world() -> AsyncIterator[Restorable]:
    with Home.temporary() as home:
        async with EmbeddedPostgres(home) as postgres, EmbeddedNats(home) as bus:
            servers = Servers(f"127.0.0.1:{postgres.port}", bus.url, home.credentials())
            await database_setup(servers.database_url("superuser", "postgres"), servers.credentials.postgres)
            for service in SERVICES:
                upgrade(service, servers.database_url("owner", DATABASE))
            async with World(servers) as world:
                yield Restorable(world, bus, home.path)
