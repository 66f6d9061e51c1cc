"""Real servers for tests: embedded ones, or containers where `PAGER_TEST_SERVERS=containers`."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import nats
import psycopg
from nats.aio.client import Client
from psycopg import sql

from cli import streams
from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home
from cli.embedded.database import database_setup
from libs.chassis.migrate import upgrade
from libs.contracts.subjects import SERVICES, STREAMS

_numbers = itertools.count(1)


@dataclass
class Servers:
    """PostgreSQL with a migrated database to copy, and NATS with its accounts."""

    postgres: EmbeddedPostgres
    nats: EmbeddedNats

    def database_url(self, user: str, database: str) -> str:
        return urlunsplit(urlsplit(self.postgres.url(user))._replace(path=f"/{database}"))

    def nats_url(self, user: str) -> str:
        name, password = self.nats.credentials(user)
        return self.nats.url.replace("nats://", f"nats://{name}:{password}@")

    async def connect(self, user: str | None = None) -> Client:
        """A connection as one of our users, or as an anonymous sender."""
        if user is None:
            return await nats.connect(self.nats.url, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
        return await nats.connect(self.nats_url(user), inbox_prefix=f"_INBOX_{user}", reconnect_time_wait=0.1)

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        """A new copy of the migrated database and new, empty streams; yields the database's name."""
        database = f"world_{next(_numbers)}"
        names = {"new": sql.Identifier(database), "template": sql.Identifier("pager")}
        await self._run(sql.SQL("CREATE DATABASE {new} TEMPLATE {template}").format(**names))
        await self._empty_streams()
        try:
            yield database
        finally:
            await self._run(sql.SQL("DROP DATABASE {new} WITH (FORCE)").format(**names))

    async def _run(self, statement: sql.Composed) -> None:
        url = self.database_url("superuser", "postgres")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(statement)

    async def _empty_streams(self) -> None:
        operator = await self.connect("operator")
        js = operator.jetstream()
        known = {info.config.name for info in await js.streams_info()}
        for spec in STREAMS:
            if spec.name in known:
                await js.delete_stream(spec.name)
        await streams.declare(js)
        await operator.close()


@asynccontextmanager
async def embedded_servers() -> AsyncIterator[Servers]:
    """Start both, and migrate the database that `fresh` copies."""
    with Home.temporary() as home:
        async with EmbeddedPostgres(home) as postgres, EmbeddedNats(home) as bus:
            await database_setup(postgres.url("superuser"), home.credentials().postgres)
            for service in SERVICES:
                await asyncio.to_thread(upgrade, service, postgres.url("owner"))
            yield Servers(postgres, bus)
