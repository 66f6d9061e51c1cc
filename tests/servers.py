"""Real servers for tests: embedded ones, or containers where `PAGER_TEST_SERVERS=containers`."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import psycopg
from nats.aio.client import Client
from nats.js.client import JetStreamContext
from psycopg import sql

from cli.console.failure import Failure
from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home
from cli.embedded.credentials import SUPERUSER, Credentials
from cli.embedded.database import DATABASE, database_setup, database_url, role_name
from cli.embedded.nats_accounts import server_config
from cli.reach import streams
from libs.chassis.store.migrate import upgrade
from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.subjects import SERVICES, STREAMS

_numbers = itertools.count(1)
OLD_CODE = "old-code"
"""The NATS user of a release before the permissions of now."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - a home gets a name of its own in it
_ROOM = 3 * 1024**3
"""Bytes that must be free for servers in memory: each worker's pair takes up to half a gigabyte."""


class Patient(Client):
    """Waits for JetStream as tests wait for anything: within nats-py's five seconds a busy machine may not answer."""

    def jetstream(self, **options: Any) -> JetStreamContext:
        return super().jetstream(**({"timeout": DEADLINE} | options))


@dataclass
class Servers:
    """PostgreSQL with a migrated database to copy, and NATS with its accounts, wherever they run."""

    postgres: str
    """`host:port`"""
    nats: str
    """`nats://host:port`"""
    credentials: Credentials

    def database_url(self, user: str, database: str) -> str:
        role = role_name(user)
        host, _, port = self.postgres.rpartition(":")
        return database_url(host, int(port), role, self.credentials.postgres[role], database)

    def nats_url(self, user: str) -> str:
        password = self.credentials.nats["operator" if user == OLD_CODE else user]
        return self.nats.replace("nats://", f"nats://{user}:{password}@")

    async def connect(self, user: str | None = None) -> Client:
        """A connection as one of our users, or as an anonymous sender."""
        client = Patient()
        patience: dict[str, Any] = {"connect_timeout": int(DEADLINE), "reconnect_time_wait": 0.1}
        if user is None:
            await client.connect(self.nats, **patience, max_reconnect_attempts=-1)
        else:
            await client.connect(self.nats_url(user), **patience, inbox_prefix=f"_INBOX_{user}")
        return client

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        """A new copy of the migrated database and new, empty streams; yields the database's name."""
        database = f"world_{next(_numbers)}"
        names = {"new": sql.Identifier(database), "template": sql.Identifier("pager")}
        await self._run(sql.SQL("CREATE DATABASE {new} TEMPLATE {template} STRATEGY file_copy").format(**names))
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
        await recreate(operator.jetstream(), *(spec.name for spec in STREAMS))
        await operator.close()


async def recreate(js: JetStreamContext, *names: str) -> None:
    """These streams become new, empty ones."""
    for info in await js.streams_info():
        if info.config.name in names:
            await js.delete_stream(info.config.name)
    for _attempt in range(int(10 * DEADLINE)):
        try:
            await streams.declare(js, tuple(spec for spec in STREAMS if spec.name in names))
            return
        except Failure:
            # The server may still be removing the old stream's folder.
            await asyncio.sleep(0.1)
    raise AssertionError(f"{names} cannot be declared")


@asynccontextmanager
async def running_servers() -> AsyncIterator[Servers]:
    """Start both, and migrate the database that `fresh` copies."""
    containers = os.environ.get("PAGER_TEST_SERVERS") == "containers"
    async with containers_with_servers() if containers else embedded_servers() as servers:
        # Passwords are asked for as ever, but a round computes one, and a world opens some forty sessions.
        passwords = servers.credentials.postgres
        await database_setup(servers.database_url("superuser", "postgres"), passwords, rounds=1)
        for service in SERVICES:
            await asyncio.to_thread(upgrade, service, servers.database_url("owner", DATABASE))
        yield servers


def _with_old_code(**settings: Any) -> str:
    """The configuration, and one more user: accounts are made anew when the last process of a release has gone, so that
    old code, and whoever works with it, runs under the permissions of before, which were wider.
    """
    config = json.loads(server_config(**settings))
    everything = {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}, "allow_responses": True}
    old = {"user": OLD_CODE, "password": settings["passwords"]["operator"], "permissions": everything}
    config["accounts"]["PAGER"]["users"].append(old)
    return json.dumps(config)


@asynccontextmanager
async def embedded_servers() -> AsyncIterator[Servers]:
    """From the PyPI wheels: no Docker."""
    with Home.temporary(_in_memory()) as home, patch("cli.embedded.nats.server_config", _with_old_code):
        async with EmbeddedPostgres(home) as postgres, EmbeddedNats(home) as bus:
            yield Servers(f"127.0.0.1:{postgres.port}", bus.url, home.credentials())


def _in_memory() -> Path | None:
    """A folder in memory, where there is room; the servers are told to sync as ever.

    Each test's database makes and removes a thousand files. ext4 gives the inode of a removed file away only minutes
    later and looks at all of them for each new file: the next database costs 35 ms in the beginning, 290 ms soon.
    What is about disks, crashes and restores has servers of its own, on a disk.
    """
    try:
        room = min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available)
    except OSError:  # not on this system
        return None
    return _MEMORY if room >= _ROOM else None


@asynccontextmanager
async def containers_with_servers() -> AsyncIterator[Servers]:
    """The official images, through testcontainers, with the same accounts and the same syncing."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.waiting_utils import wait_for_logs
    from testcontainers.postgres import PostgresContainer

    credentials = Credentials.completed({})
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "nats.conf"
        text = _with_old_code(
            name="test",
            port=4222,
            folder="/data",
            passwords=credentials.nats,
            anonymous=True,
            host="0.0.0.0",  # noqa: S104
        )
        await asyncio.to_thread(config.write_text, text)
        superuser = credentials.postgres[SUPERUSER]
        database = PostgresContainer("postgres:16", username=SUPERUSER, password=superuser, dbname="postgres")
        bus = DockerContainer("nats:2.15").with_command("-c /etc/pager/nats.conf").with_exposed_ports(4222)
        bus.with_volume_mapping(folder, "/etc/pager", "ro")
        with database, bus:
            wait_for_logs(bus, "Server is ready")
            postgres = f"{database.get_container_host_ip()}:{database.get_exposed_port(5432)}"
            location = f"nats://{bus.get_container_host_ip()}:{bus.get_exposed_port(4222)}"
            yield Servers(postgres, location, credentials)
