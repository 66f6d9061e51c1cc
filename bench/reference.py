"""The bare reference: the same hops on the same servers, without a domain.

Three processes, as in Pager's path: each reads a stream in order, writes one row and its cursor per message in one
transaction per batch, and publishes; the last one sends a push per message with Pager's own push clients. No events,
no decisions, no read models, no timers: what is left is the price of the servers and of Python. It takes nats-py and
psycopg as they come and nothing of the chassis, so that it stays the same yardstick while that gets faster.
`python -m bench.reference HOP` reads its settings as JSON from its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import nats
import psycopg
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, PersistMode, StreamConfig

from bench.stack import RunningPager
from cli.embedded.ports import free_port
from libs.chassis.clock import SystemClock
from services.notifier.push.apns import ApnsClient
from services.notifier.push.fcm import FcmClient
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome

HOPS = ("one", "two", "three")
_STREAMS = ("BENCHALERTS", "BENCHONE", "BENCHTWO")
_SERVER = str(Path(sys.executable).with_name("nats-server"))
_BATCH = 500
_IN_FLIGHT = 100
_AHEAD = 1000
"""Messages asked for ahead."""


def subject(stream: str) -> str:
    return f"bench.{stream.lower()}"


@dataclass
class Reference:
    """Pager's PostgreSQL, and a NATS server of its own: Pager's lets nobody write streams that are not Pager's."""

    pager: RunningPager
    nats_url: str
    client: Client

    async def start(self, tokens: dict[str, str]) -> list[asyncio.subprocess.Process]:
        """The three processes, as the superuser: nothing stands in their way."""
        settings = {
            "nats": self.nats_url,
            "postgres": self.pager.database_url("superuser"),
            "simulator": json.loads((self.pager.home.path / "simulators" / "simulator.json").read_text()),
            "tokens": tokens,
        }
        started = []
        for hop in HOPS:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.reference", hop, stdin=asyncio.subprocess.PIPE
            )
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            process.stdin.write(json.dumps(settings).encode())
            process.stdin.write_eof()
            started.append(process)
        return started


@asynccontextmanager
async def running_reference(pager: RunningPager) -> AsyncIterator[Reference]:
    """Streams synced like ours, a table and a cursor for each hop; all new, and gone at the end."""
    with tempfile.TemporaryDirectory(prefix="reference-", dir=pager.home.path) as folder:
        port = free_port()
        config = Path(folder) / "nats.conf"
        config.write_text(
            f'port: {port}\nhost: "127.0.0.1"\njetstream {{store_dir: "{folder}", sync_interval: always}}\n'
        )
        server = await asyncio.create_subprocess_exec(_SERVER, "-c", str(config), "-l", f"{folder}/log")
        try:
            url = f"nats://127.0.0.1:{port}"
            client = await nats.connect(url, max_reconnect_attempts=50, reconnect_time_wait=0.1)
            for stream in _STREAMS:
                mode = None if stream == "BENCHALERTS" else PersistMode.ASYNC
                await client.jetstream().add_stream(
                    StreamConfig(name=stream, subjects=[subject(stream)], persist_mode=mode)
                )
            await _tables(pager)
            yield Reference(pager, url, client)
            await client.close()
        finally:
            server.kill()
            await server.wait()
            await _execute(pager, "DROP SCHEMA IF EXISTS bench CASCADE")


async def _tables(pager: RunningPager) -> None:
    await _execute(pager, "DROP SCHEMA IF EXISTS bench CASCADE", "CREATE SCHEMA bench")
    tables = [f"CREATE TABLE bench.rows_{hop} (id bigint PRIMARY KEY, body bytea)" for hop in HOPS]
    rows = [f"INSERT INTO bench.cursors VALUES ('{hop}', 0)" for hop in HOPS]  # noqa: S608 - names of ours
    await _execute(pager, *tables, "CREATE TABLE bench.cursors (hop text PRIMARY KEY, sequence bigint)", *rows)


async def _execute(pager: RunningPager, *statements: str) -> None:
    async with await psycopg.AsyncConnection.connect(pager.database_url("superuser"), autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement.encode())


@dataclass
class Hop:
    """One process of the reference."""

    name: str
    client: Client
    connection: psycopg.AsyncConnection[Any]
    sequence: int = 0
    _waiting: deque[Msg] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _missing: int = 0
    _all_stored: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, settings: dict[str, Any]) -> None:
        index = HOPS.index(self.name)
        pushes = await _push_clients(settings) if index == len(HOPS) - 1 else None
        acks = self.client.new_inbox()
        await self.client.subscribe(acks, cb=self._on_ack)
        inbox = self.client.new_inbox()
        await self.client.subscribe(inbox, cb=self._on_message, pending_msgs_limit=-1, pending_bytes_limit=-1)
        config = ConsumerConfig(name=self.name, ack_policy=AckPolicy.NONE, mem_storage=True)
        await self.client.jetstream().add_consumer(_STREAMS[index], config)
        asked, taken = 0, 0
        while True:
            if asked - taken <= _AHEAD // 2:
                await self.client.publish(
                    f"$JS.API.CONSUMER.MSG.NEXT.{_STREAMS[index]}.{self.name}", str(_AHEAD).encode(), reply=inbox
                )
                asked += _AHEAD
            while not self._waiting:
                self._news.clear()
                await self._news.wait()
            messages = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            taken += len(messages)
            await self._write(messages)
            if pushes is not None:
                await pushes.send_all(messages)
            else:
                await self._publish(subject(_STREAMS[index + 1]), messages, acks)

    async def _on_message(self, message: Msg) -> None:
        self._waiting.append(message)
        self._news.set()

    async def _publish(self, target: str, messages: Sequence[Msg], acks: str) -> None:
        self._missing = len(messages)
        self._all_stored.clear()
        for message in messages:
            headers = {"Nats-Msg-Id": f"{self.name}/{message.metadata.sequence.stream}"}
            await self.client.publish(target, message.data, reply=acks, headers=headers)
        await self._all_stored.wait()

    async def _on_ack(self, message: Msg) -> None:
        if b'"error"' in message.data:
            raise SystemExit(f"the reference could not publish: {message.data.decode()}")
        self._missing -= 1
        if self._missing == 0:
            self._all_stored.set()

    async def _write(self, messages: Sequence[Msg]) -> None:
        sequences = [m.metadata.sequence.stream for m in messages]
        async with self.connection.transaction(), self.connection.pipeline():
            await self.connection.execute(
                f"INSERT INTO bench.rows_{self.name} SELECT * FROM unnest(%b::bigint[], %b::bytea[])",  # noqa: S608
                (sequences, [m.data for m in messages]),
            )
            await self.connection.execute(
                "UPDATE bench.cursors SET sequence = %s WHERE hop = %s AND sequence = %s",
                (sequences[-1], self.name, self.sequence),
            )
        self.sequence = sequences[-1]


@dataclass
class _PushClients:
    apns: ApnsClient
    fcm: FcmClient
    tokens: dict[str, str]
    slots: asyncio.Semaphore

    async def send_all(self, messages: Sequence[Msg]) -> None:
        outcomes = await asyncio.gather(*(self._send(json.loads(m.data)) for m in messages))
        refused = [o for o in outcomes if o.status != 200]
        if refused:
            raise SystemExit(f"the simulator refused a push of the reference: {refused[0]}")

    async def _send(self, alert: dict[str, Any]) -> Outcome:
        incident = uuid4()
        page = Page(
            notification_id=incident,
            incident_id=incident,
            kind="page",
            title=alert["summary"],
            body="",
            priority="critical",
            incident_url="",
            level=1,
            expires_at=datetime.now(UTC) + timedelta(hours=1),
        )
        client, provider = (self.apns, "apns") if alert["metadata"]["number"] % 2 == 0 else (self.fcm, "fcm")
        async with self.slots:
            return await client.send(self.tokens[provider], page)


async def _push_clients(settings: dict[str, Any]) -> _PushClients:
    given = settings["simulator"]
    clock = SystemClock()
    apns = ApnsClient(
        key=Path(given["apns_key_file"]).read_text(),  # noqa: ASYNC240 - at the start
        key_id=given["apns_key_id"],
        team_id=given["apns_team_id"],
        topic=given["apns_topic"],
        url=given["apns_url"],
        ca_file=given["apns_ca_file"],
        clock=clock,
    )
    fcm = FcmClient(
        credentials_file=given["fcm_credentials_file"],
        url=given["fcm_url"],
        token_url=given["fcm_token_url"],
        clock=clock,
    )
    await apns.start()
    await fcm.start()
    return _PushClients(apns, fcm, settings["tokens"], asyncio.Semaphore(_IN_FLIGHT))


async def _main(name: str) -> None:
    settings = json.loads(sys.stdin.buffer.read())
    client = await nats.connect(settings["nats"])
    async with await psycopg.AsyncConnection.connect(settings["postgres"], autocommit=True) as connection:
        await Hop(name, client, connection).run(settings)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1]))
