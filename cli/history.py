"""`pager replay`, `explain` and `rebuild`: how the commands that look back are called."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.console.failure import USAGE, Failure
from cli.settings import Settings

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


class FormName(StrEnum):
    """How lines are written."""

    JSONL = "jsonl"
    CSV = "csv"


class WhereName(StrEnum):
    """Who explains: the service when it runs, else its logic on the logs."""

    AUTO = "auto"
    SERVICE = "service"
    LOG = "log"


class SourceName(StrEnum):
    """Where events are read."""

    LOG = "log"
    BUS = "bus"


def replay(
    since: Annotated[str | None, typer.Option("--from", help="From this moment on: RFC 3339, or 2h for ago.")] = None,
    until: Annotated[str | None, typer.Option("--to", help="Up to this moment, which is not included.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only what belongs to it: its number or id.")] = None,
    type_glob: Annotated[str | None, typer.Option("--type", help="Only these, such as 'Incident*'.")] = None,
    at: Annotated[str | None, typer.Option(help="Print the state of one thing as of then, not events.")] = None,
    schedule: Annotated[str | None, typer.Option(help="With --at: the id of a schedule.")] = None,
    policy: Annotated[str | None, typer.Option(help="With --at: the id of a policy.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what happens from now on.")] = False,
    form: Annotated[FormName, typer.Option("--format", help="A line an event, as JSON or CSV.")] = FormName.JSONL,
    source: Annotated[SourceName, typer.Option(help="The logs, or the bus compared with them.")] = SourceName.LOG,
    resume: Annotated[str | None, typer.Option(metavar="TOKEN", help="Go on where an interruption said.")] = None,
    as_json: Json = False,
) -> int:
    """Print events of all services by time, causes before effects; or with --at what was so at a moment.

    Data on stdout, everything else on stderr; exit code 1 for a log with a hole, or a bus that differs from the logs.
    """
    settings = Settings.from_environment()
    if at is not None:
        from cli.commands.state import state_at

        if any((since, until, type_glob, resume, follow)) or source is SourceName.BUS:
            raise Failure("--at prints a state: only with --incident, --schedule or --policy", USAGE)
        state_at(settings, at, incident=incident, schedule=schedule, policy=policy, as_json=as_json)
        return 0
    if schedule is not None or policy is not None:
        raise Failure("--schedule and --policy belong to --at", USAGE)
    from cli.commands.replay import Options
    from cli.commands.replay import replay as run

    bus = source is SourceName.BUS
    return run(settings, Options(since, until, incident, type_glob, follow, str(form), bus, resume))


def explain(
    incident: Annotated[str, typer.Argument(help="Its number, its id, or the beginning of its id.")],
    user: Annotated[str | None, typer.Option("--user", help="Only this person's id.")] = None,
    source: Annotated[WhereName, typer.Option(help="The running service, or the logs.")] = WhereName.AUTO,
    as_json: Json = False,
) -> None:
    """Why each person was paged or not, with the chain of events that led to it."""
    from cli.commands.explain import explain as run

    run(Settings.from_environment(), incident, user, str(source), as_json=as_json)


def rebuild(
    service: Annotated[str, typer.Argument(help="The service whose tables are made anew.")],
    projection: Annotated[list[str] | None, typer.Option(help="Only this table; may be repeated.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Compare only; exit code 1 for differences.")] = False,
    as_json: Json = False,
) -> int:
    """Make read models and timers anew from the log, while the service runs; say how the old ones differed."""
    from cli.commands.rebuild import rebuild as run

    return run(Settings.from_environment(), service, projection or (), check=check, as_json=as_json)
