"""`python -m bench.replay`: replay, rebuild and explanation over a million events, as JSON.

On a PAGER_HOME whose logs hold fewer, a database of its own beside Pager's is filled by COPY (`bench.filling`) and
kept for the next run: nothing of Pager's own is touched. Every measured part is a process of its own, whose memory is
looked at while it runs.
"""

from __future__ import annotations

import argparse
import asyncio
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

import psycopg
from psycopg import sql

from bench.filling import database_of
from bench.measure import percentiles
from bench.parts import part, watched
from cli.embedded.database import role_name
from cli.reach.doors import database_door
from cli.reach.urls import with_user
from cli.replay.explanation import from_logs
from cli.settings import Settings
from libs.chassis.clock import SystemClock
from libs.chassis.rebuild.history import connect, ends
from libs.chassis.rebuild.rebuild import Rebuild
from libs.chassis.store.store import Store
from libs.contracts.subjects import SERVICES

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
    url, made = database_of(url, passwords, events)

    def door(user: str) -> str:
        return with_user(url, role_name(user), passwords[role_name(user)])

    with connect(door("auditor"), "bench") as connection:
        total = sum(ends(connection, SERVICES).values())
    auditor, owner = door("auditor"), door("owner")
    return {
        "database": urlsplit(url).path[1:],
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


def _replay(url: str, total: int) -> dict[str, Any]:
    """The command as anybody runs it, its start included."""
    environment = os.environ | {"PAGER_DATABASE_URL": url}
    command = [sys.executable, "-m", "cli.main", "replay"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    peak = watched(process)
    seconds = time.perf_counter() - begun
    if process.returncode != 0:
        raise SystemExit(f"pager replay ended with {process.returncode}")
    return {"eventsPerSecond": round(total / seconds), "seconds": round(seconds, 2), "peakMiB": peak}


def _part(name: str, total: int | None, **given: str) -> dict[str, Any]:
    found = part("bench.replay", name, **given)
    return found if total is None else found | {"eventsPerSecond": round(total / found["seconds"])}


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
