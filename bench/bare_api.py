"""The bare reference of `bench.api`: uvicorn, a request over NATS and one SELECT, without a framework or a domain.

Two processes, as in Pager's path: one takes HTTP and asks over NATS, the other reads the newest page of Pager's own
incidents from PostgreSQL and answers with it. No tokens, no limits, no checks, no models: what is left is the price of
the servers and of Python. `python -m bench.bare_api ROLE` reads its settings as JSON from its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nats
import psycopg
import uvicorn
import uvloop
from aiohttp import ClientError, ClientSession
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.stack import RunningPager
from cli.embedded.ports import free_port

_SERVER = str(Path(sys.executable).with_name("nats-server"))
_SUBJECT = "bench.page"
_SESSIONS = 2
"""As many as a service has for queries."""
_PAGE = b"SELECT coalesce(json_agg(view), '[]')::text FROM (%s) AS page" % (
    b"SELECT view FROM incidents.incidents ORDER BY created_at DESC, id DESC LIMIT 20"
)


@asynccontextmanager
async def running_bare(pager: RunningPager) -> AsyncIterator[tuple[str, dict[str, int]]]:
    """Where it listens, and its processes."""
    port, bus = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bare-", dir=pager.home.path) as folder:
        # A server of its own: Pager's lets nobody ask anything that is not Pager's.
        command = (_SERVER, "-a", "127.0.0.1", "-p", str(bus), "-l", f"{folder}/log")
        processes = {"nats": await asyncio.create_subprocess_exec(*command)}
        settings = {"port": port, "nats": f"nats://127.0.0.1:{bus}", "postgres": pager.database_url("superuser")}
        try:
            for role in ("server", "reader"):
                processes[role] = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "bench.bare_api", role, stdin=PIPE
                )
                assert processes[role].stdin is not None  # noqa: S101 - it is a pipe
                processes[role].stdin.write(json.dumps(settings).encode())  # type: ignore[union-attr]
                processes[role].stdin.write_eof()  # type: ignore[union-attr]
            await _until_it_answers(f"http://127.0.0.1:{port}")
            yield f"http://127.0.0.1:{port}", {name: process.pid for name, process in processes.items()}
        finally:
            for process in processes.values():
                process.kill()
                await process.wait()


async def _until_it_answers(url: str) -> None:
    async with ClientSession() as http, asyncio.timeout(30):
        while True:
            try:
                async with http.get(url) as answer:
                    if answer.status == 200:
                        return
            except ClientError:
                pass
            await asyncio.sleep(0.1)


async def _serve(settings: dict[str, Any]) -> None:
    bus = await _connected(settings["nats"])
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}

    async def app(_scope: Any, _receive: Any, send: Callable[[dict[str, Any]], Any]) -> None:
        try:
            body = (await bus.request(_SUBJECT, b"", timeout=5)).data
        except nats.errors.Error:
            body, status = b"", 503  # the reader is still starting
        else:
            status = 200
        length = (b"content-length", str(len(body)).encode())
        await send(head | {"status": status, "headers": [*head["headers"], length]})  # type: ignore[misc]
        await send({"type": "http.response.body", "body": body})

    config = uvicorn.Config(app, port=settings["port"], access_log=False, lifespan="off", log_level="warning")
    await uvicorn.Server(config).serve()


async def _read(settings: dict[str, Any]) -> None:
    bus = await _connected(settings["nats"])
    idle: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    for _ in range(_SESSIONS):
        idle.put_nowait(await psycopg.AsyncConnection.connect(settings["postgres"], autocommit=True))

    async def answer(message: Msg) -> None:
        connection = await idle.get()
        try:
            row = await (await connection.execute(_PAGE)).fetchone()
        finally:
            idle.put_nowait(connection)
        await message.respond(row[0].encode() if row else b"")

    under_way: set[asyncio.Task[None]] = set()

    async def take(message: Msg) -> None:
        task = asyncio.create_task(answer(message))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    await bus.subscribe(_SUBJECT, cb=take)
    await asyncio.Event().wait()


async def _connected(url: str) -> Client:
    return await nats.connect(url, max_reconnect_attempts=50, reconnect_time_wait=0.1)


if __name__ == "__main__":
    uvloop.run({"server": _serve, "reader": _read}[sys.argv[1]](json.load(sys.stdin)))
