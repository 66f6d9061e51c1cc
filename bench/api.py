"""`python -m bench.api`: a thousand people who work with the API at once, as JSON (milliseconds).

They have signed in beforehand. Each asks once in two seconds, and one request of five changes something: people read
lists with filters and pages, incidents, timelines, who is on call; they acknowledge, resolve, write notes, open
incidents, take over shifts. They belong to teams with a schedule and a policy each, and whoever is on call is paged
for what is opened. Limits of rates are on. Everything, the people as well, is on this machine's cores.

A request's time begins when it should have been sent (`bench.open_loop`); an acknowledgement's ends with the answer,
which comes after the commit. The reference of the same run, under the same load: uvicorn, a request over NATS and one
SELECT (`bench.bare_api`). It fills its PAGER_HOME with people and incidents, which stay for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from aiohttp import ClientSession

from bench import crowd
from bench.bare_api import running_bare
from bench.costs import costs
from bench.crowd import Crowd, told
from bench.measure import percentiles
from bench.rows import fill_incidents
from bench.stack import RunningPager, as_admin, cpu_seconds, pss_mib, running_pager
from bench.visits import BARE, MIX, WRITES
from libs.chassis.store.connections import QUERIES, RPC, WORK

_WARM = 5.0
"""Seconds at the beginning that do not count."""
_REFERENCE = 15.0
_NOBODY = UUID(int=99)
"""Whose the incidents of earlier days are, with others who are no more than an id: nobody here was paged for them."""
_SPARE = 1.5
"""Times as many incidents as are expected to be acknowledged and not opened meanwhile: none must ever be missing."""
_SESSIONS = {"work": WORK, "rpc": RPC, "query": QUERIES}
_BUSY = re.compile(r"^pager_database_busy_seconds_sum\{(.*)\} (\S+)$", re.MULTILINE)
_ESTIMATES = re.compile(r"^pager_list_estimates_total\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Load:
    people: int
    teams: int
    every: float
    seconds: float
    incidents: int

    @property
    def rate(self) -> float:
        return self.people / self.every

    @property
    def to_open(self) -> int:
        asked = self.rate * (self.seconds + _WARM) * (MIX["acknowledge"] - MIX["create"]) / sum(MIX.values())
        return int(asked * _SPARE)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.api", description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--teams", type=int, default=20)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two requests of a person")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--incidents", type=int, default=100_000, help="that there are before the first run")
    parser.add_argument("--costs", type=int, default=0, metavar="TIMES", help="only what one of each kind costs whom")
    given = vars(parser.parse_args())
    times = given.pop("costs")
    os.environ.update(crowd.ENVIRONMENT | ({"ENABLE_RATE_LIMITING": "false"} if times else {}))
    print(json.dumps(uvloop.run(_measure(Load(**given), times)), indent=2, ensure_ascii=False))


async def _measure(load: Load, times: int) -> dict[str, Any]:
    async with running_pager(1) as pager:
        async with as_admin(pager) as (_, signed_in):
            token = signed_in["tokens"]["accessToken"]
        here = Crowd(str(pager.run["gateway"]), await pager.connect("gateway"), token)
        await here.gather(load.people, load.teams)
        await asyncio.to_thread(_fill, pager, here, load)
        await here.open(2 * times * load.teams if times else load.to_open)
        await here.at_rest()
        if times:
            return {"microsecondsOfProcessor": await costs(pager, here, times)}
        measured = await _pager(pager, here, load)
        await here.at_rest()
        bare = await _bare(pager, here, load)
        await here.bus.close()
    return {"load": asdict(load) | {"cores": os.cpu_count()}, "pager": measured, "reference": bare}


def _fill(pager: RunningPager, here: Crowd, load: Load) -> None:
    """Incidents of earlier days, and for each team some that its people look at."""
    with psycopg.connect(pager.database_url("superuser"), autocommit=True) as connection:
        if connection.execute("SELECT FROM incidents.incidents LIMIT 1").fetchone() is None:
            _say(f"{load.incidents} incidents of earlier days")
            teams = [UUID(team.id) for team in here.teams]
            fill_incidents(connection, load.incidents, _NOBODY, teams=teams)
            connection.execute("SELECT setval('incidents.incident_number', max(number)) FROM incidents.incidents")
        for team in here.teams:
            newest = "SELECT id FROM incidents.incidents WHERE team_id = %s ORDER BY created_at DESC LIMIT 50"
            team.old = [str(found[0]) for found in connection.execute(newest, (team.id,))]


async def _pager(pager: RunningPager, here: Crowd, load: Load) -> dict[str, Any]:
    _say(f"{load.people} people, for {load.seconds:.0f} s")
    before, metrics, begun = cpu_seconds(pager.pids()), await _metrics(here.url), time.perf_counter()
    seen = await _ask({"url": here.url, "mix": MIX, **told(here.people, here.teams)}, load, load.seconds)
    length = time.perf_counter() - begun
    used, metrics_after = cpu_seconds(pager.pids()), await _metrics(here.url)
    busy, busy_after = _busy(metrics), _busy(metrics_after)
    pools = {
        pool: round(100 * (busy_after[pool] - busy.get(pool, 0.0)) / (length * _SESSIONS[pool.split()[1]]), 1)
        for pool in sorted(busy_after)
    }
    return {
        **_summary(seen, load.seconds),
        "acknowledgeMs": percentiles(seen["seconds"].get("acknowledge", ())),
        "byKindMs": {kind: percentiles(seen["seconds"].get(kind, ())) for kind in MIX},
        "unchangedPercent": {kind: seen["unchanged"][kind] for kind in MIX if kind in seen["unchanged"]},
        "estimatesKeptPercent": _kept(metrics, metrics_after),
        "poolUsePercent": pools,
        "cpuPercentOfOneCore": _percent(before, used, length) | {"people": round(100 * seen["cpuSeconds"] / length, 1)},
        "pssMiB": pss_mib(pager.pids()),
    }


async def _bare(pager: RunningPager, here: Crowd, load: Load) -> dict[str, Any]:
    _say(f"the reference, for {_REFERENCE:.0f} s")
    async with running_bare(pager) as (url, pids):
        pids |= {"postgres": pager.pids()["postgres"]}
        before, begun = cpu_seconds(pids), time.perf_counter()
        seen = await _ask({"url": url, "mix": BARE, **told(here.people, [])}, load, _REFERENCE)
        length, used = time.perf_counter() - begun, cpu_seconds(pids)
    return {**_summary(seen, _REFERENCE), "cpuPercentOfOneCore": _percent(before, used, length)}


async def _ask(settings: dict[str, Any], load: Load, seconds: float) -> dict[str, Any]:
    """What the people have seen, who are a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.open_loop", stdin=PIPE, stdout=PIPE, limit=2**26
    )
    told_ = {"seed": 7, "every": load.every, "seconds": seconds, "warm": _WARM}
    out, _ = await process.communicate(json.dumps(settings | told_).encode())
    if process.returncode:
        raise SystemExit("the process of the people has failed")
    return dict(json.loads(out))


def _summary(seen: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    kinds: Mapping[str, Sequence[float]] = seen["seconds"]
    of_all = [one for times in kinds.values() for one in times]
    writes = [one for kind, times in kinds.items() if kind in WRITES for one in times]
    reads = [one for kind, times in kinds.items() if kind not in WRITES for one in times]
    return {
        "requests": len(of_all),
        "perSecond": round(len(of_all) / seconds, 1),
        "writesPercent": round(100 * len(writes) / len(of_all), 1),
        "answers": seen["answers"],
        "errors": seen["errors"],
        **({"shown": seen["shown"]} if seen["shown"] else {}),
        "allMs": percentiles(of_all),
        "readsMs": percentiles(reads),
        **({"writesMs": percentiles(writes)} if writes else {}),
        "sentLateMs": percentiles(seen["late"]),
        "mebibytes": round(seen["bytes"] / 2**20, 1),
    }


def _percent(before: Mapping[str, float], used: Mapping[str, float], length: float) -> dict[str, float]:
    return {name: round(100 * (used[name] - before[name]) / length, 1) for name in used if name in before}


async def _metrics(url: str) -> str:
    async with ClientSession() as http, http.get(f"{url}/api/metrics") as answer:
        return await answer.text()


def _kept(before: str, after: str) -> float | None:
    """Percent of the totals of long lists that were not counted; None: there was none."""
    times = {"kept": 0.0, "counted": 0.0}
    for sign, text in ((-1, before), (1, after)):
        for labels, value in _ESTIMATES.findall(text):
            times[dict(_LABEL.findall(labels))["outcome"]] += sign * float(value)
    whole = sum(times.values())
    return round(100 * times["kept"] / whole, 1) if whole else None


def _busy(text: str) -> dict[str, float]:
    """Seconds for which sessions of each service's pools were in use."""
    found: dict[str, float] = {}
    for labels, value in _BUSY.findall(text):
        of = dict(_LABEL.findall(labels))
        if of["role"] in _SESSIONS:
            pool = f"{of['service']} {of['role']}"
            found[pool] = found.get(pool, 0.0) + float(value)
    return found


def _say(what: str) -> None:
    sys.stderr.write(f"{what}\n")


if __name__ == "__main__":
    main()
