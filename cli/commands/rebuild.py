"""`pager rebuild SERVICE`: read models and timers made anew from the logs, compared, and swapped in."""

import asyncio
import importlib
import signal
from collections.abc import Sequence
from threading import Event as Flag
from typing import Any

import psycopg

from cli.console.failure import STOPPED, USAGE, Failure
from cli.console.output import console, print_json, table
from cli.console.progress import progress_on_stderr
from cli.reach.doors import database_door
from cli.settings import Settings
from libs.chassis.rebuild.folding import LogHole
from libs.chassis.rebuild.origins import Origins
from libs.chassis.rebuild.rebuild import Rebuild, Rebuilt, Running
from libs.chassis.rebuild.shadow import Unrepeatable
from libs.chassis.rebuild.swapping import Busy
from libs.contracts.envelope import UnknownEvent
from libs.contracts.subjects import SERVICES


def rebuild(settings: Settings, service: str, tables: Sequence[str], *, check: bool, as_json: bool) -> int:
    """The exit code: 1 when `check` has found differences. Raises `Failure`."""
    if service not in SERVICES:
        raise Failure(f"{service!r} is none of {', '.join(SERVICES)}", USAGE)
    origins: Origins = importlib.import_module(f"services.{service}.origins").ORIGINS

    stop = Flag()

    async def run() -> Rebuilt:
        async with database_door(settings, "owner") as url:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            return await asyncio.to_thread(_run, origins, url, tables, check, stop)

    try:
        done = asyncio.run(run())
    except Unrepeatable as error:
        raise Failure(str(error), USAGE) from None
    except (Running, Busy) as error:
        raise Failure(str(error)) from None
    except LogHole as error:
        raise Failure(f"stopped, the old tables stay in force: {error}") from None
    except UnknownEvent as error:
        raise Failure(f"stopped, the old tables stay in force: {error}; this build is too old for the log") from None
    except psycopg.Error as error:
        raise Failure(f"stopped, the old tables stay in force: PostgreSQL: {error}") from None
    if as_json:
        print_json(_document(origins, done))
    else:
        _show(origins, done)
    return 1 if check and any(c.differences for c in done.compared.values()) else 0


def _run(origins: Origins, url: str, tables: Sequence[str], check: bool, stop: Flag) -> Rebuilt:
    with progress_on_stderr(f"rebuild {origins.schema}", 0) as show:

        def progress(done: int, total: int) -> None:
            if stop.is_set():
                raise Failure("stopped: the old tables stay in force", STOPPED)
            show(done, total)

        return Rebuild(origins, url, tables, progress=progress).run(swap=not check)


def _document(origins: Origins, done: Rebuilt) -> dict[str, Any]:
    return {
        "service": origins.schema,
        "events": done.events,
        "swapped": done.swapped,
        "cleaned": done.cleaned,
        "tables": {
            name: {
                "rows": found.rows,
                "missing": found.missing,
                "extra": found.extra,
                "changed": found.changed,
                "examples": [{"kind": e.kind, "key": e.key, "columns": list(e.columns)} for e in found.examples],
            }
            for name, found in done.compared.items()
        },
        "kept": origins.kept,
    }


def _show(origins: Origins, done: Rebuilt) -> None:
    out = console()
    if done.cleaned:
        out.print(f"removed what an interrupted rebuild had left: {', '.join(done.cleaned)}", markup=False)
    rows = [(name, c.rows, c.missing, c.extra, c.changed) for name, c in done.compared.items()]
    title = f"{origins.schema}: {done.events} events; how the tables in force differed from the log"
    out.print(table(title, ("table", "rows", "missing", "extra", "changed"), rows))
    for name, found in done.compared.items():
        for example in found.examples:
            columns = f": {', '.join(example.columns)}" if example.columns else ""
            out.print(f"  {name} {example.key} {example.kind}{columns}", markup=False)
        more = found.differences - len(found.examples)
        if more > 0:
            out.print(f"  {name}: and {more} more", markup=False)
    out.print("the new tables are in force" if done.swapped else "compared only: nothing was changed")
