"""`pager replay`: what happened, in order, on standard output; everything else is said on standard error."""

import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event as Flag
from typing import Any

import psycopg

from cli.console.failure import STOPPED, TROUBLE, USAGE, Failure
from cli.console.progress import Progress, progress_on_stderr
from cli.reach.doors import database_door
from cli.replay import lines
from cli.replay.asked import Asked, moment_of
from cli.replay.incident import Belonging, belonging, earliest, find_incident
from cli.replay.logs import LogSource, open_logs, refused
from cli.replay.merge import Hole, Merge
from cli.replay.run import Replay, log_sources, merge_of, tell_unknown
from cli.replay.token import Token
from cli.settings import Settings
from libs.chassis.rebuild.history import History, ends
from libs.contracts.subjects import SERVICES


@dataclass(frozen=True)
class Options:
    """As given on the command line."""

    since: str | None = None
    until: str | None = None
    incident: str | None = None
    type_glob: str | None = None
    follow: bool = False
    form: str = "jsonl"
    bus: bool = False
    resume: str | None = None


def replay(settings: Settings, options: Options) -> int:
    """The exit code: 130 when it was interrupted. Raises `Failure`."""
    if options.follow and (options.until is not None or options.bus):
        raise Failure("--follow goes on with the logs for ever: not with --to, and not with --source bus", USAGE)
    if options.bus and options.resume is not None:
        raise Failure("--resume goes on with the logs: not with --source bus", USAGE)
    if options.resume is not None and any((options.since, options.until, options.incident, options.type_glob)):
        raise Failure("--resume knows what was asked: give it without --from, --to, --incident and --type", USAGE)
    token = Token.parse(options.resume) if options.resume is not None else None
    now = datetime.now(UTC)
    asked = Asked.resumed(token) if token is not None else _asked(options, now)
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise Failure("--from must be before --to", USAGE)
    stop = Flag()
    return asyncio.run(_until_signal(stop, lambda url: _replay(url, settings, options, asked, token, stop), settings))


def _asked(options: Options, now: datetime) -> Asked:
    return Asked(
        since=moment_of(options.since, "--from", now) if options.since else None,
        until=moment_of(options.until, "--to", now) if options.until else None,
        incident=options.incident,
        type_glob=options.type_glob,
    )


async def _until_signal(stop: Flag, work: Callable[[str], int], settings: Settings) -> int:
    """In a thread, so that Ctrl-C ends it between two batches and never inside one."""
    loop = asyncio.get_running_loop()
    async with database_door(settings, "auditor") as url:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        try:
            return await asyncio.to_thread(work, url)
        except psycopg.Error as error:
            raise refused(error) from None
        except Hole as hole:
            raise Failure(f"stopped: {hole}", TROUBLE) from None


def _replay(url: str, settings: Settings, options: Options, asked: Asked, token: Token | None, stop: Flag) -> int:
    histories = open_logs(url)
    try:
        belongs = _belonging(histories, asked)
        form = lines.csv_lines if options.form == "csv" else lines.jsonl
        if options.form == "csv" and token is None:
            sys.stdout.buffer.write(lines.header())
        run = Replay(asked, form(SERVICES), sys.stdout.buffer, stop, belongs)
        if options.bus:
            from cli.replay.bus import replay_bus

            return replay_bus(run, form, settings, histories)
        return _from_logs(run, histories, token, follow=options.follow)
    finally:
        for history in histories:
            history.connection.close()


def _belonging(histories: Sequence[History], asked: Asked) -> Belonging | None:
    if asked.incident is None:
        return None
    incidents = next(h for h in histories if h.service == "incidents")
    asked.incident = find_incident(incidents, asked.incident)
    found, first = belonging(incidents, asked.incident)
    since = earliest(first)
    asked.since = since if asked.since is None else max(asked.since, since)
    return found


def _from_logs(run: Replay, histories: Sequence[History], token: Token | None, *, follow: bool) -> int:
    sources = log_sources(histories, run.asked, run.belonging, token)
    merge = merge_of(sources, token)
    with progress_on_stderr("replay", sum(s.upto - s.begun for s in sources)) as progress:
        complete = run.run(merge, lambda: _show(progress, sources))
    if complete and follow:
        run.follow(merge, sources, lambda: ends(histories[0].connection, [h.service for h in histories]))
        complete = False
    _tell(run, merge)
    if complete:
        return 0
    if run.token is not None:
        sys.stderr.write(f"pager: stopped; go on with: pager replay --resume {run.token}\n")
    return STOPPED


def _show(progress: Progress, sources: Sequence[LogSource]) -> None:
    progress(sum(s.after - s.begun for s in sources))


def _tell(run: Replay, merge: Merge) -> None:
    tell_unknown(run.unknown.items())
    if merge.squeezed:
        sys.stderr.write("pager: too much happened at once to look 5 s ahead: causes were looked for in less\n")


def documents(settings: Settings, work: Callable[[str], Any]) -> Any:
    """What a function of the auditor's URL returns, with the failures of this command. Raises `Failure`."""

    async def run() -> Any:
        async with database_door(settings, "auditor") as url:
            try:
                return await asyncio.to_thread(work, url)
            except psycopg.Error as error:
                raise refused(error) from None

    return asyncio.run(run())
