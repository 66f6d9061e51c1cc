"""`python -m bench.stream`: how soon the streams' clients hear of what was committed, as JSON (milliseconds).

Clients are processes of their own. What is measured begins before the commit, when incidents decides
(`incident.updatedAt`), and ends when the client has read the frame; beside it, since the command was answered, which is
after the commit. The reference, in the same run and with the same clients: a bare server of the same library that sends
as many frames of the same size to as many of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import uvloop
from nats.aio.client import Client
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, broadcast, serve

from bench.stack import RunningPager, as_admin, cpu_seconds, pss_mib, running_pager
from libs.contracts.subjects import Header, rpc_subject
from pager_client import AsyncPager

_EACH = 10
"""Streams of one API key."""
_INCIDENTS = 10
"""Of each team; each is edited again and again."""
_PROCESSES = 4
_WARM = 2.0
"""Seconds at the beginning that do not count."""
_SENT, _NUMBER = re.compile(r'"updatedAt":"([^"]+)"'), re.compile(r'"title":"bench ([0-9]+)"')
_TEXT = "a" * 600


@dataclass(frozen=True)
class Load:
    """Events a second, each for the clients of one team."""

    clients: int
    teams: int
    rate: float
    seconds: float

    @property
    def each(self) -> int:
        return self.clients // self.teams


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--teams", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--role", choices=("clients", "reference"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role is not None:
        settings = json.load(sys.stdin)
        uvloop.run(_listen(settings) if given.role == "clients" else _reference(settings))
        return
    load = Load(given.clients, given.teams, given.rate, given.seconds)
    print(json.dumps(uvloop.run(_measure(load)), indent=2))


async def _measure(load: Load) -> dict[str, Any]:
    bare = await _bare(load)
    async with running_pager(1, simulators=False) as pager:
        pager_measured = await _pager(pager, load)
    return {"load": asdict(load), "pager": pager_measured, "reference": bare}


# --- Pager -----------------------------------------------------------------------------------------------------------


async def _pager(pager: RunningPager, load: Load) -> dict[str, Any]:
    async with as_admin(pager) as (api, signed_in):
        token = signed_in["tokens"]["accessToken"]
        bus = await pager.connect("gateway")
        teams = [await _team(api, bus, token, load, number) for number in range(load.teams)]
    url = f"ws{str(pager.run['gateway']).removeprefix('http')}/api/v1/stream"
    first_frames = [json.dumps({"type": "authenticate", "token": key}) for key, _ in teams for _ in range(load.each)]
    async with _clients(url, first_frames, load) as results:
        before, begun = cpu_seconds(pager.pids()), time.perf_counter()
        answered = await _edit(bus, token, [ids for _, ids in teams], load)
        length, used = time.perf_counter() - begun, cpu_seconds(pager.pids())
        sizes = pss_mib(pager.pids())
    await bus.close()
    return {
        **_summary(results, load, len(answered), answered),
        "cpuPercentOfOneCore": {n: round(100 * (used[n] - before[n]) / length, 1) for n in used if n in before},
        "pssMiB": sizes,
    }


async def _team(
    api: AsyncPager, bus: Client, token: str, load: Load, number: int
) -> tuple[Sequence[str], Sequence[str]]:
    """Keys for its clients, and the incidents that they hear of."""
    team = (await api.create_team(name=f"bench {number} {uuid4().hex[:6]}"))["team"]["id"]
    keys = [
        str((await api.create_api_key(name=f"bench {n}", teamId=team, scopes=["incidents.list"]))["apiKey"]["key"])
        for n in range(-(-load.each // _EACH))
    ]
    made = {"title": "bench", "description": _TEXT, "priority": "low", "teamId": team}
    return keys, [(await _ask(bus, token, "create", made))["id"] for _ in range(_INCIDENTS)]


async def _ask(bus: Client, token: str, operation: str, body: dict[str, Any]) -> dict[str, Any]:
    """A command as the gateway forwards it, past its limits: an admin alone changes more than anybody does."""
    subject, headers = rpc_subject("incidents", operation), {Header.TOKEN: token}
    answer = json.loads((await bus.request(subject, json.dumps(body).encode(), timeout=10, headers=headers)).data)
    if not answer["ok"]:
        raise SystemExit(f"incidents refused {operation}: {answer['error']['message']}")
    return dict(answer["data"])


async def _edit(bus: Client, token: str, teams: Sequence[Sequence[str]], load: Load) -> dict[int, float]:
    """An open loop of commands; each is one event. Returns when each was answered."""
    answered: dict[int, float] = {}

    async def one(number: int) -> None:
        team = teams[number % len(teams)]
        await _ask(bus, token, "edit", {"id": team[number // len(teams) % len(team)], "title": f"bench {number}"})
        answered[number] = time.time()

    await asyncio.gather(*await _paced(load, one))
    await asyncio.sleep(1.0)
    return answered


async def _paced(load: Load, one: Any) -> list[asyncio.Task[Any]]:
    begun, tasks = time.perf_counter(), list[asyncio.Task[Any]]()
    for number in range(int(load.rate * (load.seconds + _WARM))):
        wait = begun + number / load.rate - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(number)))
    return tasks


# --- The reference ---------------------------------------------------------------------------------------------------


async def _bare(load: Load) -> dict[str, Any]:
    """A server that knows nothing but who is in which team."""
    program = await _Program.start("reference", asdict(load))
    port = int(await program.line())
    first_frames = [str(number % load.teams) for number in range(load.clients)]
    async with _clients(f"ws://127.0.0.1:{port}", first_frames, load) as results:
        before, begun = cpu_seconds({"server": program.pid}), time.perf_counter()
        events = int(await program.line())
        length, used = time.perf_counter() - begun, cpu_seconds({"server": program.pid})
    await program.process.wait()
    percent = round(100 * (used["server"] - before["server"]) / length, 1) if used else None
    return {**_summary(results, load, events), "cpuPercentOfOneCore": {"server": percent}}


async def _reference(settings: dict[str, Any]) -> None:
    load, teams = Load(**settings), dict[str, set[ServerConnection]]()
    everybody = asyncio.Event()

    async def welcome(client: ServerConnection) -> None:
        teams.setdefault(str(await client.recv()), set()).add(client)
        await client.send('{"type":"ready"}')
        if sum(map(len, teams.values())) == load.clients:
            everybody.set()
        await client.wait_closed()

    async def one(number: int) -> None:
        now = datetime.fromtimestamp(time.time()).astimezone().isoformat()
        shown = f'"title":"bench {number}","updatedAt":"{now}","description":"{_TEXT * 2}"'
        frame = f'{{"type":"IncidentEdited","incident":{{{shown}}}}}'
        broadcast(teams[str(number % load.teams)], frame)

    async with serve(welcome, "127.0.0.1", 0, compression=None) as server:
        sys.stdout.write(f"{next(iter(server.sockets)).getsockname()[1]}\n")
        sys.stdout.flush()
        await everybody.wait()
        tasks = await _paced(load, one)
        await asyncio.gather(*tasks)
        await asyncio.sleep(1.0)
        sys.stdout.write(f"{len(tasks)}\n")
        sys.stdout.flush()
        await asyncio.sleep(2.0)


@dataclass
class _Program:
    """This module in a process of its own, which says what it has to say in lines."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(cls, role: str, settings: dict[str, Any]) -> Self:
        command = [sys.executable, "-m", "bench.stream", "--role", role]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=2**26)
        if process.stdin is not None:
            process.stdin.write(json.dumps(settings).encode())
            process.stdin.write_eof()
        return cls(process)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def line(self) -> bytes:
        line = await self.process.stdout.readline() if self.process.stdout is not None else b""
        if not line:
            raise SystemExit("a process of the benchmark has ended")
        return line


# --- Clients ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _clients(url: str, first_frames: Sequence[Any], load: Load) -> AsyncIterator[list[dict[str, Any]]]:
    """Processes with the clients, all let in; at the end the list holds what each process has seen."""
    frames = [_first(frame, number) for number, frame in enumerate(first_frames)]
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"
        programs = [
            await _Program.start("clients", {"url": url, "frames": frames[n::_PROCESSES], "stop": str(stop)})
            for n in range(_PROCESSES)
        ]
        for program in programs:
            await program.line()
        yield results
        stop.touch()
        for program in programs:
            results.append(json.loads(await program.line()))
            await program.process.wait()


def _first(frame: Any, number: int) -> str:
    """Of a team's keys each client takes its own."""
    if not frame.startswith("{"):
        return str(frame)
    said = json.loads(frame)
    keys = said["token"]
    return json.dumps(said | {"token": keys[number // _EACH % len(keys)]})


async def _listen(settings: dict[str, Any]) -> None:
    """One process of clients: seconds from decision to receipt of each frame, and when it came."""
    seen: list[tuple[float, float, int]] = []
    closed: list[int] = []
    waiting = asyncio.Semaphore(20)
    ready: list[ClientConnection] = []

    async def client(first: str) -> None:
        async with waiting:
            socket = await connect(settings["url"], proxy=None, compression=None, open_timeout=30)
            await socket.send(first)
            await socket.recv()
            ready.append(socket)
        async for frame in socket:
            now = time.time()
            sent, number = _SENT.search(str(frame)), _NUMBER.search(str(frame))
            if sent is not None and number is not None:
                seen.append((now, now - datetime.fromisoformat(sent[1]).timestamp(), int(number[1])))
        closed.append(socket.close_code or 0)

    tasks = [asyncio.create_task(client(frame)) for frame in settings["frames"]]
    while len(ready) < len(tasks):
        await asyncio.sleep(0.05)
        for task in tasks:
            if task.done():
                task.result()
                raise SystemExit(f"a client was closed: {closed}")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not Path(settings["stop"]).exists():  # noqa: ASYNC240 - another process says it
        await asyncio.sleep(0.1)
    lost = len(closed)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    sys.stdout.write(json.dumps({"seen": seen, "closed": lost}) + "\n")


def _summary(
    results: Sequence[dict[str, Any]], load: Load, events: int, answered: dict[int, float] | None = None
) -> dict[str, Any]:
    """`answered`: when whoever gave a command had its answer, by its number: by then it was committed."""
    seen = sorted((at, delay, number) for one in results for at, delay, number in one["seen"])
    counted = [one for one in seen if one[0] >= seen[0][0] + _WARM]
    since_answer = [max(0.0, at - answered[number]) for at, _, number in counted if answered and number in answered]
    return {
        "events": events,
        "frames": len(seen),
        "framesExpected": events * load.each,
        "framesASecond": round(len(counted) / load.seconds),
        "closed": sum(one["closed"] for one in results),
        "millisecondsSinceDecided": _percentiles([delay for _, delay, _ in counted]),
        **({"millisecondsSinceAnswered": _percentiles(since_answer)} if since_answer else {}),
    }


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered, last = sorted(seconds), len(seconds) - 1
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(1000 * ordered[min(last, int(share * last))], 1) for name, share in shares.items() if ordered}


if __name__ == "__main__":
    main()
