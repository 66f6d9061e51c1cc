"""A thousand people in one process: each asks when it is time to, whatever became of others' requests.

An open loop: a request's time begins when it should have been sent. Whoever still waits for an answer then sends late,
and the wait counts, so that a server which stands still is not asked less and measured less for it. Each person has a
connection of their own, as a phone has. httptools reads the answers, which is what uvicorn reads requests with: a
request costs this process some 50 µs, where what it measures runs on the same cores.

`python -m bench.open_loop` reads its settings as JSON from its input and writes what it has seen as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop
from httptools import HttpResponseParser

from bench.visits import Ask, Team, Visitor

PATIENCE = 20.0
"""Seconds until an answer is given up; it is an error then."""
_SHOWN = 10
"""Errors of which the answer's beginning is told."""


class Connection(asyncio.Protocol):
    """Keeps alive; one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[None] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = HttpResponseParser(self)
        self.etag, self.body, self.size = "", list[bytes](), 0

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the connection was closed"))

    def data_received(self, data: bytes) -> None:
        self.size += len(data)
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"etag":
            self.etag = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def ask(self, request: bytes) -> None:
        """Raises OSError, TimeoutError: there is no whole answer."""
        if self._transport is None:
            raise ConnectionResetError("there is no connection")
        self._begin()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        async with asyncio.timeout(PATIENCE):
            await self._answer


@dataclass
class Seen:
    """What was measured of requests that should have been sent after the warm-up."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """By kind, from when each should have been sent to the last byte of its answer."""
    late: list[float] = field(default_factory=list)
    """Seconds by which requests left later than they should, also for a connection that was still busy."""
    answers: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    size: int = 0
    read: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    """Reads, by kind, and those whose answer was the one before to whoever sees the same: what a cache could answer
    that forgets nothing too early."""
    _last: dict[tuple[str, str], str] = field(default_factory=dict)

    def answered(self, ask: Ask, sees: str, etag: str) -> None:
        """A read has had this answer, for whoever sees the same as `sees`."""
        self.read[ask.kind] += 1
        self.unchanged[ask.kind] += self._last.get((sees, ask.path)) == etag
        self._last[sees, ask.path] = etag

    def failed(self, ask: Ask, what: str, body: bytes = b"") -> None:
        self.errors[f"{ask.kind}: {what}"] += 1
        if len(self.shown) < _SHOWN:
            self.shown.append(f"{ask.method} {ask.path} {what} {body[:300].decode(errors='replace')}")


@dataclass
class Loop:
    """`every`: seconds between two requests of a person."""

    url: str
    every: float
    seconds: float
    warm: float
    seen: Seen = field(default_factory=Seen)

    async def run(self, visitors: list[Visitor], chance: random.Random) -> None:
        """Raises OSError: nobody listens."""
        doors = [await self.connect() for _ in visitors]
        # Nobody's clock beats with somebody else's: what arrives in one moment is what chance makes of it.
        phases = [chance.uniform(0, self.every) for _ in visitors]
        gc.collect()
        gc.disable()
        begun = time.perf_counter() + 0.1
        everybody = zip(visitors, doors, phases, strict=True)
        await asyncio.gather(*(self._visit(visitor, door, begun + phase) for visitor, door, phase in everybody))

    async def connect(self) -> Connection:
        place = urlsplit(self.url)
        host, port = place.hostname or "127.0.0.1", place.port or 80
        _, connection = await asyncio.get_running_loop().create_connection(Connection, host, port)
        return connection

    async def _visit(self, visitor: Visitor, door: Connection, due: float) -> None:
        counts_from, until = due + self.warm, due + self.warm + self.seconds
        while due < until:
            await asyncio.sleep(due - time.perf_counter())
            ask = visitor.next()
            if not door.is_open:
                door = await self.connect()
            sent, what = time.perf_counter(), ""
            try:
                await door.ask(ask.request)
            except (OSError, TimeoutError) as error:
                what = str(error) or type(error).__name__
            done = time.perf_counter()
            body = b"".join(door.body)
            if not what:
                visitor.heard(ask, door.status, door.etag, body)
                what = "" if door.status in ask.good else str(door.status)
            if due >= counts_from:
                self.seen.seconds[ask.kind].append(done - due)
                self.seen.late.append(sent - due)
                self.seen.answers[door.status if door.is_open else 0] += 1
                self.seen.size += door.size
                if ask.method == "GET" and door.etag:
                    self.seen.answered(ask, visitor.sees(ask), door.etag)
                if what:
                    self.seen.failed(ask, what, body)
            due += self.every


async def _main(settings: dict[str, Any]) -> dict[str, Any]:
    chance = random.Random(settings["seed"])
    teams = {team["id"]: Team.of(team) for team in settings["teams"]}
    visitors = [Visitor(person, teams.get(person["team"]), settings["mix"], chance) for person in settings["people"]]
    loop = Loop(settings["url"], settings["every"], settings["seconds"], settings["warm"])
    before = time.process_time()
    await loop.run(visitors, chance)
    seen = loop.seen
    return {
        "seconds": seen.seconds,
        "late": seen.late,
        "answers": seen.answers,
        "errors": seen.errors,
        "shown": seen.shown,
        "bytes": seen.size,
        "unchanged": {kind: round(100 * seen.unchanged[kind] / read) for kind, read in seen.read.items()},
        "cpuSeconds": time.process_time() - before,
    }


if __name__ == "__main__":
    json.dump(uvloop.run(_main(json.load(sys.stdin))), sys.stdout)
