"""`python -m bench.queries`: lists and searches of a million incidents, and acknowledgements beside walkers, as JSON.

An admin asks, who sees everything, and people who are in fifty of sixty teams, and in one, and see what is theirs. No
list may read a table from its beginning to its end: the plans are told, and one that does is an error. The numbers are
those of the newest 200,000 incidents, for the admin and for who is in fifty teams.

The incidents are written into the table of a running Pager (`bench.rows`), and stay for the next run: give it a
PAGER_HOME of its own. The reference of the same run: a bare round trip to PostgreSQL, the newest page in plain SQL, and
an answer of the gateway that asks nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import psycopg
import uvloop
from rich.console import Console
from rich.progress import Progress

from bench.facts import fill_facts, period_of_newest
from bench.measure import percentiles
from bench.plans import cost_of_words, plans_of
from bench.rows import fill_incidents
from bench.stack import RunningPager, as_admin, running_pager
from libs.contracts.permissions import MOST_TEAMS
from pager_client import AsyncPager, Refused

_WALKERS = 8
_PAGE = "SELECT view FROM incidents.incidents ORDER BY created_at DESC, id DESC LIMIT 20"
INCIDENTS: Mapping[str, Mapping[str, str]] = {
    "newest": {},
    "newest 100": {"limit": "100"},
    "oldest": {"sort": "createdAt"},
    "most urgent": {"sort": "priority"},
    "most urgent, closed": {"sort": "priority", "status": "closed"},
    "changed last": {"sort": "-updatedAt"},
    "changed last, low": {"sort": "-updatedAt", "priority": "low"},
    "open": {"status": "created"},
    "closed": {"status": "closed"},
    "low": {"priority": "low"},
    "open and low": {"status": "created", "priority": "low"},
    "somebody's": {"assigned_to": "{me}"},
    "somebody's, open": {"assigned_to": "{me}", "status": "created"},
    "somebody's, low": {"assigned_to": "{me}", "priority": "low"},
    "somebody's, open and low": {"assigned_to": "{me}", "status": "created", "priority": "low"},
    "page 500": {"page": "500"},
    "somebody's, page 500": {"assigned_to": "{me}", "page": "500"},
    "of ten minutes": {"from": "2026-03-03T09:00:00Z", "to": "2026-03-03T09:10:00Z"},
    "a word of all": {"q": "disk"},
    "a word of all, most urgent": {"q": "disk", "sort": "priority"},
    "a word of all, changed last": {"q": "disk", "sort": "-updatedAt"},
    "a word of all, open": {"q": "disk", "status": "created"},
    "a word of all, closed": {"q": "disk", "status": "closed"},
    "a word of all, page 50": {"q": "disk", "page": "50"},
    "a word of a third": {"q": "kafka"},
    "a word of a hundredth": {"q": "checkout"},
    "a rare word": {"q": "unicorn"},
    "a phrase": {"q": '"disk 77777"'},
    "a word of nobody": {"q": "zebra"},
    "a label of all": {"metadata.env": "production"},
    "a label of few": {"metadata.host": "db-77"},
    "a label of few and a word": {"metadata.host": "db-77", "q": "kafka"},
    "a label of nobody": {"metadata.colour": "blue"},
}
"""Queries of incidents by what they ask for; `{me}` is whoever has a twentieth of all."""
OTHERS = {
    "integrations": "/integrations",
    "users": "/users",
    "policies": "/escalation/policies",
    "schedules": "/on-call/schedules",
    "devices": "/devices",
}
NUMBERS = ("summary", "response", "load", "noise")
_COUNTED = 200_000
"""Incidents that numbers are asked of."""
_TEAMS = 60
_PASSWORD = "Correct-Horse-7-Battery"  # noqa: S105 - of people who exist only in this benchmark


@dataclass
class Walker:
    """Somebody who reads a list from its beginning to its end, again and again."""

    api: AsyncPager
    path: str
    pages: int = 0
    refused: Counter[int] = field(default_factory=Counter)

    async def walk(self) -> None:
        cursor = ""
        while True:
            try:
                data = await self.api.call("GET", f"{self.path}{cursor}")
            except Refused as error:
                self.refused[error.status] += 1
                continue
            self.pages += 1
            cursor = f"&cursor={data['nextCursor']}" if data["nextCursor"] else ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queries", description=__doc__)
    parser.add_argument("--incidents", type=int, default=1_000_000)
    parser.add_argument("--asked", type=int, default=100, help="how often each list is asked for")
    given = parser.parse_args()
    # One person asks more than a person may.
    os.environ.setdefault("ENABLE_RATE_LIMITING", "false")
    print(json.dumps(uvloop.run(_measure(given.incidents, given.asked)), indent=2))


async def _measure(incidents: int, asked: int) -> dict[str, Any]:
    async with running_pager(1, simulators=False) as pager, _admin(pager) as (api, me):
        url = pager.database_url("superuser")
        teams = await _teams(api)
        member = await _member(api, "member", teams[:MOST_TEAMS])
        one = await _member(api, "one", teams[3:4])
        filled = await asyncio.to_thread(_fill, url, incidents, me, teams)
        paths = {name: _path(query, me) for name, query in INCIDENTS.items()}
        lists = {name: await _timed(asked, partial(api.call, "GET", path)) for name, path in (paths | OTHERS).items()}
        fifty = {name: await _timed(asked, partial(member.call, "GET", path)) for name, path in paths.items()}
        single = {name: await _timed(asked, partial(one.call, "GET", path)) for name, path in paths.items()}
        period = urlencode(period_of_newest(min(_COUNTED, incidents), incidents))
        numbers = {
            f"{name} ({who})": await _numbers(by, f"/analytics/{name}?{period}", max(asked // 5, 3))
            for name, (who, by) in product(NUMBERS, {"admin": api, "member of fifty teams": member}.items())
        }
        lists["deep in a walk"] = await _timed(asked, _deep(api, ""))
        lists["deep in a walk of a word"] = await _timed(asked, _deep(api, "&q=disk"))
        lists["deep in a walk by priority"] = await _timed(asked, _deep(api, "&sort=priority"))
        plans = await asyncio.to_thread(plans_of, url, INCIDENTS, me, teams)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            reference = {
                "SELECT 1": await _timed(asked, lambda: _rows(connection, "SELECT 1")),
                "newest, in plain SQL": await _timed(asked, lambda: _rows(connection, _PAGE)),
                "an answer of the gateway alone": await _timed(asked, lambda: _nothing(api)),
            }
        return {
            "incidents": incidents,
            "filled": filled,
            "cores": os.cpu_count(),
            "listsMs": lists,
            "listsOfFiftyTeamsMs": fifty,
            "listsOfOneTeamMs": single,
            "numbersOf200000Ms": numbers,
            "plans": plans,
            "searchCostsMicrosecondsAnIncident": await asyncio.to_thread(cost_of_words, url),
            "referenceMs": reference,
            "acknowledgementsMs": await _acknowledgements(api, me, asked),
        }


@asynccontextmanager
async def _admin(pager: RunningPager) -> AsyncIterator[tuple[AsyncPager, UUID]]:
    """The API as the admin, and who that is."""
    async with as_admin(pager, retries=0) as (api, signed_in):
        yield api, UUID(signed_in["user"]["id"])


async def _teams(admin: AsyncPager) -> list[UUID]:
    """Those of an earlier run, and what is missing."""
    names = [f"bench {number}" for number in range(_TEAMS)]
    there = {team["name"]: team["id"] async for team in admin.iter_teams()}
    for name in names:
        if name not in there:
            there[name] = (await admin.call("POST", "/teams", {"name": name}))["team"]["id"]
    return [UUID(there[name]) for name in names]


async def _member(admin: AsyncPager, name: str, teams: Sequence[UUID]) -> AsyncPager:
    """The API as somebody who is in these teams."""
    email = f"{name}@bench.test"
    person = {"email": email, "password": _PASSWORD, "firstName": name, "lastName": "Bench", "roles": ["user"]}
    if email not in {user["email"] async for user in admin.iter_users()}:
        await admin.call("POST", "/users", person | {"teamIds": [str(team) for team in teams]})
    member = admin.with_token(None)
    await member.sign_in(email, _PASSWORD, f"bench-{name}")
    return member


def _path(query: Mapping[str, str], me: UUID) -> str:
    given = {name: value.format(me=me) for name, value in query.items()}
    return f"/incidents?{urlencode(given)}" if given else "/incidents"


def _fill(url: str, incidents: int, whose: UUID, teams: Sequence[UUID]) -> dict[str, float]:
    begun = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection, Progress(console=Console(stderr=True)) as progress:
        row = connection.execute("SELECT count(*) FROM incidents.incidents").fetchone()
        there = int(row[0]) if row else 0
        if there < incidents:
            task = progress.add_task("incidents", total=incidents)
            fill_incidents(connection, incidents, whose, lambda rows: progress.advance(task, rows), teams)
            connection.execute("SELECT setval('incidents.incident_number', max(number)) FROM incidents.incidents")
        if connection.execute("SELECT 1 FROM incidents.incident_openings LIMIT 1").fetchone() is None:
            fill_facts(connection)
    return {"before": there, "seconds": round(time.perf_counter() - begun, 1)}


async def _timed(times: int, ask: Callable[[], Awaitable[object]]) -> dict[str, float]:
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        await ask()
        seconds.append(time.perf_counter() - begun)
    return percentiles(seconds)


async def _numbers(api: AsyncPager, path: str, times: int) -> dict[str, Any]:
    """What takes longer than it may is refused, and counted."""
    refused = Counter[int]()

    async def ask() -> None:
        try:
            await api.call("GET", path)
        except Refused as error:
            refused[error.status] += 1

    return await _timed(times, ask) | {"refused": dict(refused)}


def _deep(api: AsyncPager, query: str) -> Callable[[], Awaitable[object]]:
    """One page after the other, of a hundred each."""
    cursor = ""

    async def following() -> None:
        nonlocal cursor
        data = await api.call("GET", f"/incidents?limit=100{query}{cursor}")
        cursor = f"&cursor={data['nextCursor']}" if data["nextCursor"] else ""

    return following


async def _rows(connection: psycopg.AsyncConnection[Any], statement: str) -> list[Any]:
    return await (await connection.execute(statement.encode())).fetchall()


async def _nothing(api: AsyncPager) -> None:
    """Refused at the door: the parameter is unknown."""
    try:
        await api.call("GET", "/incidents?nothing=1")
    except Refused as error:
        if error.status != 400:
            raise


async def _acknowledgements(api: AsyncPager, me: UUID, times: int) -> dict[str, Any]:
    """Alone, and beside eight walkers: half of them walk all incidents, half those of somebody."""
    alone = await _acknowledged(api, times)
    paths = ("/incidents?limit=100", f"/incidents?limit=100&assigned_to={me}")
    walkers = [Walker(api, paths[number % len(paths)]) for number in range(_WALKERS)]
    walking = [asyncio.create_task(walker.walk()) for walker in walkers]
    begun = time.perf_counter()
    beside = await _acknowledged(api, times)
    seconds = time.perf_counter() - begun
    for task in walking:
        task.cancel()
    await asyncio.gather(*walking, return_exceptions=True)
    refused: Counter[int] = sum((walker.refused for walker in walkers), Counter())
    return {
        "alone": alone,
        "besideEightWalkers": beside,
        "pagesASecond": round(sum(walker.pages for walker in walkers) / seconds),
        "pagesRefused": dict(refused),
    }


async def _acknowledged(api: AsyncPager, times: int) -> dict[str, Any]:
    seconds, refused = list[float](), Counter[int]()
    for number in range(times):
        made = await api.call("POST", "/incidents", {"title": f"bench {number}", "priority": "low"})
        begun = time.perf_counter()
        try:
            await api.call("POST", f"/incidents/{made['incident']['id']}/acknowledge", {})
        except Refused as error:
            refused[error.status] += 1
        seconds.append(time.perf_counter() - begun)
    return percentiles(seconds) | {"refused": dict(refused)}


if __name__ == "__main__":
    main()
