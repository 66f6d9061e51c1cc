"""`pager replay`: what happened, in order, or with `--at` what was so at a moment; data go to standard output alone."""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.naming import ids_in, with_names
from cli.console.output import console, print_json, table
from cli.replay.forms import FormName
from cli.settings import Settings

if TYPE_CHECKING:
    from cli.replay.asked import Asked


class SourceName(StrEnum):
    """Where events are read."""

    LOG = "log"
    BUS = "bus"


@dataclass(frozen=True)
class Options:
    """Which events are wanted, as given on the command line."""

    since: str | None
    until: str | None
    incident: str | None
    type_glob: str | None
    follow: bool
    form: FormName | None
    """None: in words on a terminal, else JSON lines."""
    source: SourceName
    resume: str | None


def replay(
    since: Annotated[str | None, typer.Option("--from", help="From this moment on: RFC 3339, or 2h for ago.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this moment, which is not included.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only what belongs to it: its number or id.")] = None,
    type_glob: Annotated[str | None, typer.Option("--type", help="Only these, such as 'Incident*'.")] = None,
    at: Annotated[str | None, typer.Option(help="Print the state of one thing as of then, not events.")] = None,
    schedule: Annotated[str | None, typer.Option(help="With --at: the id of a schedule.")] = None,
    policy: Annotated[str | None, typer.Option(help="With --at: the id of a policy.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens from now on.")] = False,
    form: Annotated[FormName | None, typer.Option("--format", help="Text on a terminal, else JSON lines.")] = None,
    source: Annotated[SourceName, typer.Option(help="The logs, or the bus compared with them.")] = SourceName.LOG,
    resume: Annotated[str | None, typer.Option(metavar="TOKEN", help="Go on where an interruption said.")] = None,
    as_json: Json = False,
) -> int:
    """Print events of all services by time, causes before effects; or with --at what was so at a moment.

    Data on stdout, everything else on stderr; exit code 1 for a log with a hole, or a bus that differs from the logs.

    For example: pager replay --incident 17, or pager replay --from 2h --format csv > events.csv
    """
    settings = Settings.from_environment()
    if at is not None:
        if any((since, until, type_glob, resume, follow)) or source is SourceName.BUS:
            raise Failure("--at prints a state: only with --incident, --schedule or --policy", USAGE)
        _print_state(settings, at, {"incident": incident, "schedule": schedule, "policy": policy}, as_json=as_json)
        return 0
    if schedule is not None or policy is not None:
        raise Failure("--schedule and --policy belong to --at", USAGE)
    form = FormName.JSONL if as_json and form is None else form
    return _print_events(settings, Options(since, until, incident, type_glob, follow, form, source, resume))


def _print_events(settings: Settings, options: Options) -> int:
    """The exit code: 130 when it was interrupted. Raises `Failure`."""
    import asyncio

    from cli.replay.asked import Asked
    from cli.replay.printout import Printout
    from cli.replay.token import Token

    bus = options.source is SourceName.BUS
    if options.follow and (options.until is not None or bus):
        raise Failure("--follow goes on with the logs for ever: not with --to, and not with --source bus", USAGE)
    if bus and options.resume is not None:
        raise Failure("--resume goes on with the logs: not with --source bus", USAGE)
    if options.resume is not None and any((options.since, options.until, options.incident, options.type_glob)):
        raise Failure("--resume knows what was asked: give it without --from, --to, --incident and --type", USAGE)
    token = Token.parse(options.resume) if options.resume is not None else None
    asked = Asked.resumed(token) if token is not None else _asked(options, datetime.now(UTC))
    if asked.since is not None and asked.until is not None and asked.since >= asked.until:
        raise Failure("--from must be before --to", USAGE)
    form = options.form or (FormName.TEXT if sys.stdout.isatty() else FormName.JSONL)
    return asyncio.run(Printout(settings, asked, token, form=form, bus=bus, follow=options.follow).run())


def _asked(options: Options, now: datetime) -> "Asked":
    from cli.replay.asked import Asked, moment_of

    return Asked(
        since=moment_of(options.since, "--from", now) if options.since else None,
        until=moment_of(options.until, "--to", now) if options.until else None,
        incident=options.incident,
        type_glob=options.type_glob,
    )


def _print_state(settings: Settings, at: str, things: dict[str, str | None], *, as_json: bool) -> None:
    """Exactly one of the things, by kind. Raises `Failure`."""
    from cli.replay.asked import moment_of
    from cli.replay.logs import as_auditor
    from cli.replay.names import names_of
    from cli.replay.states import read_state

    wanted = {kind: key for kind, key in things.items() if key is not None}
    if len(wanted) != 1:
        raise Failure("--at: name one --incident, --schedule or --policy", USAGE)
    ((kind, key),) = wanted.items()
    moment = moment_of(at, "--at", datetime.now(UTC))
    found = as_auditor(settings, lambda url: read_state(url, kind, key, moment))
    if as_json:
        print_json(found.document())
        return
    told = {name: lines_of(value) for name, value in found.state.items()}
    ids = ids_in(line for lines in told.values() for line in lines)
    names = as_auditor(settings, lambda url: names_of(url, ids))
    rows = [(name, [with_names(line, names.get) for line in lines]) for name, lines in told.items()]
    title = f"{kind} as of {_utc(moment)}: version {found.version}, {found.last.name} at {_utc(found.last.time)}"
    console().print(table(title, ("what", "value"), rows))


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def lines_of(value: Any) -> list[str]:
    """A value of a state for people: a line for each part of what has parts."""
    match value:
        case dict() if value:
            return [f"{name}: {_inline(part)}" for name, part in value.items()]
        case list() if value:
            return [_inline(part) for part in value]
        case _:
            return [_inline(value)]


def _inline(value: Any) -> str:
    match value:
        case dict() if value:
            return ", ".join(f"{name} {_inline(part)}" for name, part in value.items())
        case list() if value:
            return ", ".join(map(_inline, value))
        case None | [] | {}:
            return "none"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:g}"
        case _:
            return str(value)
