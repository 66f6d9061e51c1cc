"""`python -m bench.rebuild`: how fast each service's tables are made anew, beside the bare logs, as JSON.

On a database of its own with a synthetic history (`bench.filling`), which is kept for the next run. Every part is a
process of its own. The reference reads the same rows in the order of their positions and decodes them, and no more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.filling import database_of
from bench.parts import part
from cli.embedded.database import role_name
from cli.reach.doors import database_door
from cli.reach.urls import with_user
from cli.settings import Settings
from libs.chassis.rebuild.history import History, connect, ends, pages
from libs.contracts.codec import CODEC
from libs.contracts.subjects import SERVICES

_REBUILT: Final = ("incidents", "notifier", "escalation")
"""Those that have much to read; auth and oncall have a few hundred events in this history."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rebuild", description=__doc__)
    parser.add_argument("--events", type=int, default=250_000)
    parser.add_argument("--service", choices=_REBUILT, action="append", help="only this one; may be repeated")
    parser.add_argument("--part", choices=sorted(PARTS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        sys.stdout.write(json.dumps(PARTS[given.part](**json.loads(sys.stdin.read()))))
        return
    settings = Settings.from_environment()
    print(json.dumps(asyncio.run(_measure(settings, given.events, given.service or _REBUILT)), indent=2))


async def _measure(settings: Settings, events: int, services: tuple[str, ...]) -> dict[str, Any]:
    async with database_door(settings, "superuser") as url:
        passwords = settings.home.credentials().postgres
        return await asyncio.to_thread(_all, url, passwords, events, services)


def _all(url: str, passwords: Mapping[str, str], events: int, services: tuple[str, ...]) -> dict[str, Any]:
    url, _made = database_of(url, passwords, events)

    def door(user: str) -> str:
        return with_user(url, role_name(user), passwords[role_name(user)])

    reference = part("bench.rebuild", "read", url=door("auditor"))
    found = {service: part("bench.rebuild", "rebuild", url=door("owner"), service=service) for service in services}
    every, seconds = (sum(one[what] for one in found.values()) for what in ("events", "seconds"))
    return {
        "reference": reference,
        "rebuild": found,
        "overall": {"events": every, "seconds": round(seconds, 2), "eventsPerSecond": round(every / seconds)},
    }


def read_part(url: str) -> dict[str, Any]:
    """Every event of the logs, read in pages and decoded."""
    begun, events = _now(), 0
    with connect(url, "bench") as connection:
        for service, end in ends(connection, SERVICES).items():
            for rows in pages(History(connection, service), 0, end):
                events += len([CODEC.decode(row.type, row.raw) for row in rows])
    return _told(events, begun)


def rebuild_part(url: str, service: str) -> dict[str, Any]:
    """Everything that a service's rebuild repeats: reading, folding, writing, indexes, comparison and swap."""
    import importlib

    from libs.chassis.rebuild.rebuild import Rebuild

    origins = importlib.import_module(f"services.{service}.origins").ORIGINS
    begun = _now()
    done = Rebuild(origins, url).run()
    rows = {name: found.rows for name, found in done.compared.items() if found.rows}
    differences = sum(found.differences for found in done.compared.values())
    return _told(done.events, begun) | {"differences": differences, "rows": rows}


def _now() -> tuple[float, float]:
    """Seconds, and those of the processor in this process and its children."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def _told(events: int, begun: tuple[float, float]) -> dict[str, Any]:
    """`processorMicroseconds`: of Python, per event; PostgreSQL's comes on top."""
    seconds, processor = (now - then for now, then in zip(_now(), begun, strict=True))
    return {
        "events": events,
        "eventsPerSecond": round(events / seconds),
        "seconds": round(seconds, 2),
        "processorMicroseconds": round(processor / events * 1e6, 1),
    }


PARTS: Final[Mapping[str, Callable[..., dict[str, Any]]]] = {"read": read_part, "rebuild": rebuild_part}

if __name__ == "__main__":
    main()
