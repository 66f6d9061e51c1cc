"""`pager rebuild SERVICE`: read models and timers made anew from the logs, compared, and swapped in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.options import Json
from cli.console.failure import STOPPED, USAGE, Failure
from cli.console.output import console, print_json, table
from cli.settings import Settings

if TYPE_CHECKING:
    from threading import Event as Flag

    from libs.chassis.rebuild.origins import Origins
    from libs.chassis.rebuild.rebuild import Rebuilt


def rebuild(
    service: Annotated[str, typer.Argument(help="The service whose tables are made anew.")],
    projection: Annotated[list[str] | None, typer.Option(help="Only this table; may be repeated.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare only; exit code 1 for differences.")] = False,
    as_json: Json = False,
) -> int:
    """Make read models and timers anew from the log, while the service runs; say how the old ones differed.

    For example: pager rebuild incidents --check
    """
    import importlib

    from libs.contracts.subjects import SERVICES

    settings = Settings.from_environment()
    if service not in SERVICES:
        raise Failure(f"{service!r} is none of {', '.join(SERVICES)}", USAGE)
    origins: Origins = importlib.import_module(f"services.{service}.origins").ORIGINS
    done = _rebuilt(settings, origins, projection or (), check=check)
    if as_json:
        print_json(_document(origins, done))
    else:
        _show(origins, done)
    return 1 if check and any(c.differences for c in done.compared.values()) else 0


def _rebuilt(settings: Settings, origins: "Origins", tables: Sequence[str], *, check: bool) -> "Rebuilt":
    """Raises `Failure`: whatever went wrong, the old tables stay in force."""
    import asyncio

    import psycopg

    from libs.chassis.rebuild.folding import LogHole
    from libs.chassis.rebuild.rebuild import Running
    from libs.chassis.rebuild.shadow import Unrepeatable
    from libs.chassis.rebuild.swapping import Busy
    from libs.contracts.codec import UnknownEvent

    try:
        return asyncio.run(_until_signal(settings, origins, tables, check=check))
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


async def _until_signal(settings: Settings, origins: "Origins", tables: Sequence[str], *, check: bool) -> "Rebuilt":
    import asyncio
    import signal
    from threading import Event as Flag

    from cli.reach.doors import database_door

    stop = Flag()
    async with database_door(settings, "owner") as url:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await asyncio.to_thread(_run, origins, url, tables, check, stop)


def _run(origins: "Origins", url: str, tables: Sequence[str], check: bool, stop: "Flag") -> "Rebuilt":
    from cli.console.progress import progress_on_stderr
    from libs.chassis.rebuild.rebuild import Rebuild

    with progress_on_stderr(f"rebuild {origins.schema}", 0) as show:

        def progress(done: int, total: int) -> None:
            if stop.is_set():
                raise Failure("stopped: the old tables stay in force", STOPPED)
            show(done, total)

        return Rebuild(origins, url, tables, progress=progress).run(swap=not check)


def _document(origins: "Origins", done: "Rebuilt") -> dict[str, Any]:
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


def _show(origins: "Origins", done: "Rebuilt") -> None:
    out = console()
    if done.cleaned:
        out.print(f"removed what an interrupted rebuild had left: {', '.join(done.cleaned)}")
    rows = [(name, c.rows, c.missing, c.extra, c.changed) for name, c in done.compared.items()]
    title = f"{origins.schema}: {done.events} events; how the tables in force differed from the log"
    out.print(table(title, ("table", "rows", "missing", "extra", "changed"), rows))
    for name, found in done.compared.items():
        for example in found.examples:
            columns = f": {', '.join(example.columns)}" if example.columns else ""
            out.print(f"  {name} {example.key} {example.kind}{columns}")
        more = found.differences - len(found.examples)
        if more > 0:
            out.print(f"  {name}: and {more} more")
    out.print("the new tables are in force" if done.swapped else "compared only: nothing was changed")
