"""`python -m bench.replay`: replay, rebuild and explanation over a million events, as JSON.

On a PAGER_HOME whose logs hold fewer, a database of its own beside Pager's is filled by COPY (`bench.filling`) and
kept for the next run: nothing of Pager's own is touched. Every measured part is a process of its own, whose memory is
looked at while it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psutil
import psycopg
from psycopg import sql

from bench.filling import fill
from bench.measure import percentiles
from cli.embedded.database import DATABASE, database_setup, role_name
from cli.reach.doors import database_door
from cli.reach.urls import with_user
from cli.replay.explanation import from_logs
from cli.settings import Settings
from libs.chassis.clock import SystemClock
from libs.chassis.rebuild.history import connect, ends
from libs.chassis.rebuild.rebuild import Rebuild
from libs.chassis.store.migrate import upgrade
from libs.chassis.store.store import Store
from libs.contracts.subjects import SERVICES, UPSTREAMS

_OURS = "pager_bench_replay"
_EXPLANATIONS = 200


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        sys.stdout.write(json.dumps(PARTS[given.part](**json.loads(sys.stdin.read()))))
        return
    settings = Settings.from_environment()
    print(json.dumps(asyncio.run(_measure(settings, given.events)), indent=2))


async def _measure(settings: Settings, events: int) -> dict[str, Any]:
    async with database_door(settings, "superuser") as url:
        return await asyncio.to_thread(_all, settings, url, events)


def _all(settings: Settings, url: str, events: int) -> dict[str, Any]:
    passwords = settings.home.credentials().postgres
    database, made = _database(url, passwords, events)

    def door(user: str) -> str:
        role = role_name(user)
        return with_user(_in(url, database), role, passwords[role])

    with connect(door("auditor"), "bench") as connection:
        total = sum(ends(connection, SERVICES).values())
    auditor, owner = door("auditor"), door("owner")
    return {
        "database": database,
        "madeBy": "COPY of synthetic events" if made else "what was there",
        "events": total,
        "replay": _replay(auditor, total),
        "reference": {
            "copyOfTheSameRows": _part("copy", total, url=auditor),
            "plainCursorLoop": _part("cursor", total, url=auditor),
        },
        "rebuild": {
            service: _part("rebuild", None, url=owner, service=service) for service in ("incidents", "notifier")
        },
        "explainMs": _part("explain", None, url=door("incidents"), logs=auditor),
    }


def _database(url: str, passwords: dict[str, str] | Any, events: int) -> tuple[str, bool]:
    """Pager's own where it holds enough, else ours, filled when it is not."""
    for name in (DATABASE, _OURS):
        try:
            with connect(_in(url, name), "bench") as connection:
                if sum(ends(connection, SERVICES).values()) >= events:
                    return name, name == _OURS
        except psycopg.Error:
            pass  # not there, or not migrated
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_OURS)))
    asyncio.run(database_setup(url, {r: w for r, w in passwords.items() if r != "postgres"}, _OURS))
    owner = with_user(_in(url, _OURS), role_name("owner"), passwords[role_name("owner")])
    for service in SERVICES:
        upgrade(service, owner)
    fill(_in(url, _OURS), events + 1000)
    _read_everything(_in(url, _OURS))
    return _OURS, True


def _read_everything(url: str) -> None:
    """Cursors of services that have followed all of it, so that replicas can be rebuilt."""
    with psycopg.connect(url) as connection:
        for service in SERVICES:
            for upstream in UPSTREAMS[service]:
                move = sql.SQL(
                    "INSERT INTO {} SELECT {}, lane, 1, max(notification_id), 0, '' FROM {} GROUP BY lane"
                ).format(
                    sql.Identifier(service, "cursors"), sql.Literal(upstream), sql.Identifier(upstream, "stored_events")
                )
                connection.execute(move)


def _in(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def _replay(url: str, total: int) -> dict[str, Any]:
    """The command as anybody runs it, its start included."""
    environment = os.environ | {"PAGER_DATABASE_URL": url}
    command = [sys.executable, "-m", "cli.main", "replay"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    peak = _watched(process)
    seconds = time.perf_counter() - begun
    if process.returncode != 0:
        raise SystemExit(f"pager replay ended with {process.returncode}")
    return {"eventsPerSecond": round(total / seconds), "seconds": round(seconds, 2), "peakMiB": peak}


def _watched(process: subprocess.Popen[Any]) -> float:
    """The largest resident size that was seen until its end, in MiB."""
    peak, looked = 0, psutil.Process(process.pid)
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            peak = max(peak, looked.memory_info().rss)
        time.sleep(0.02)
    return round(peak / 2**20, 1)


def _part(name: str, total: int | None, **given: str) -> dict[str, Any]:
    """One part in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.replay", "--part", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None  # noqa: S101 - narrows for the type checker
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    peak = _watched(process)
    told = process.stdout.read()
    if process.returncode != 0:
        raise SystemExit(f"the part {name} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(told)
    if total is not None:
        found["eventsPerSecond"] = round(total / found["seconds"])
    return found | {"peakMiB": peak}


def copy_part(url: str) -> dict[str, Any]:
    """What `psql -c "COPY …"` does: the same rows, out of the server and away, unsorted across services."""
    begun = time.perf_counter()
    with connect(url, "bench") as connection:
        for service in SERVICES:
            statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT BINARY)")
            with connection.cursor().copy(statement.format(sql.Identifier(service, "stored_events"))) as copy:
                for _block in copy:
                    pass
    return {"seconds": round(time.perf_counter() - begun, 2)}


def cursor_part(url: str) -> dict[str, Any]:
    """A loop over a server-side cursor for each log, in the order of positions."""
    begun = time.perf_counter()
    with psycopg.connect(url) as connection:
        for service in SERVICES:
            with connection.cursor("bench", binary=True) as cursor:
                cursor.itersize = 4000
                table = sql.Identifier(service, "stored_events")
                cursor.execute(sql.SQL("SELECT * FROM {} ORDER BY notification_id").format(table))
                for _row in cursor:
                    pass
    return {"seconds": round(time.perf_counter() - begun, 2)}


def rebuild_part(url: str, service: str) -> dict[str, Any]:
    """Everything that a service's rebuild repeats: reading, folding, writing, indexes, comparison and swap."""
    origins = importlib.import_module(f"services.{service}.origins").ORIGINS
    begun = time.perf_counter()
    done = Rebuild(origins, url).run()
    seconds = time.perf_counter() - begun
    return {
        "events": done.events,
        "eventsPerSecond": round(done.events / seconds),
        "seconds": round(seconds, 2),
        "rows": {name: found.rows for name, found in done.compared.items()},
    }


def explain_part(url: str, logs: str) -> dict[str, Any]:
    """The request as the service answers it, and the same from the logs, without the start of a command."""
    from services.incidents.explain import explain
    from services.incidents.projections import project
    from services.incidents.views import timeline_of

    with connect(logs, "bench") as connection:
        ids = [
            row[0]
            for row in connection.execute(
                "SELECT originator_id FROM incidents.stored_events WHERE topic = %s AND lane = 'urgent'"
                " AND originator_version = 1 LIMIT 20000",
                ("pager.incidents.IncidentCreated.v1",),
            )
        ]
    chosen = random.Random(1).sample(ids, min(_EXPLANATIONS, len(ids)))
    store = Store(url, "incidents", clock=SystemClock(), projector=project, instance="bench", role="rpc")

    async def ask(incident: UUID) -> int:
        return await store.read(lambda work: len(explain(timeline_of(work, incident).rows).people))

    async def all_of_them() -> list[float]:
        await ask(chosen[0])  # the connection is made once
        seconds = []
        for incident in chosen:
            begun = time.perf_counter()
            await ask(incident)
            seconds.append(time.perf_counter() - begun)
        return seconds

    service = percentiles(asyncio.run(all_of_them()))
    store.close()
    seconds = []
    for incident in chosen[:5]:
        begun = time.perf_counter()
        from_logs(logs, str(incident), None)
        seconds.append(time.perf_counter() - begun)
    return {"service": service, "fromLogs": percentiles(seconds)}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "copy": copy_part,
    "cursor": cursor_part,
    "rebuild": rebuild_part,
    "explain": explain_part,
}

if __name__ == "__main__":
    main()
