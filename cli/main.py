"""The `pager` command: how each command is called. Bodies are imported when called: `pager up` must stay small."""

import os
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import history
from cli.console.failure import STOPPED, TROUBLE, USAGE, Failure
from cli.deploying import deploy_config, prepare
from cli.embedded.errors import StartError
from cli.embedded.home import Home
from cli.settings import DEFAULT_PORT, Settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)
alerts = typer.Typer(no_args_is_help=True, help="Alerts.")
parked = typer.Typer(no_args_is_help=True, help="Inputs that were set aside with a reason.")
migrations = typer.Typer(no_args_is_help=True, help="Schemas of the services.")
app.add_typer(alerts, name="alert")
app.add_typer(parked, name="parked")
app.add_typer(migrations, name="migrate")
app.add_typer(prepare, name="prepare")
app.add_typer(deploy_config, name="deploy-config")

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Service = Annotated[str | None, typer.Option(help="Only this service.")]


class PriorityName(StrEnum):
    """The priorities of `libs.contracts.model`, which need not be imported to parse arguments."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class ActionName(StrEnum):
    """The actions of `libs.contracts.alerts`."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@app.callback()
def pager() -> None:
    """Pages the right person about an incident until somebody acknowledges."""


@app.command()
def up(
    replicas: Annotated[int, typer.Option(min=1, max=9, help="Processes per service (the gateway has one).")] = 1,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help=f"PAGER_PORT, by default {DEFAULT_PORT}.")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Start services again when their source changes.")] = False,
    no_simulators: Annotated[bool, typer.Option("--no-simulators", help="Without the push simulators.")] = False,
    as_json: Json = False,
) -> None:
    """Run everything in the foreground; Ctrl-C stops it.

    PAGER_DATABASE_URL (a superuser's or the owner's) and PAGER_NATS_URL name servers elsewhere, which then are not
    embedded.
    """
    from dataclasses import replace

    from cli.commands.up import up as run

    settings = Settings.from_environment()
    settings = replace(settings, replicas=replicas, simulators=not no_simulators)
    if port is not None:
        settings = replace(settings, port=port)
    run(settings, reload=reload, as_json=as_json)


@app.command()
def demo(
    home: Annotated[Path | None, typer.Option(help="Keep the data in this folder; else they are erased.")] = None,
    as_json: Json = False,
) -> None:
    """Show an alert become a page, escalate and be acknowledged; about twenty seconds."""
    from cli.commands.demo import demo as run

    run(Home(home) if home is not None else None, as_json=as_json)


@app.command()
def seed(
    minutes: Annotated[float, typer.Option(help="Until the second level is paged; fractions are welcome.")] = 0.1,
    as_json: Json = False,
) -> None:
    """Make two people with phones: Ana is on call, Bo is the second level."""
    from cli.commands.seed import seed as run

    run(Settings.from_environment(), minutes, as_json=as_json)


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, as_json: Json = False) -> None:
    """Erase PAGER_HOME with everything in it."""
    from cli.commands.reset import reset as run

    run(Settings.from_environment(), sure=yes, as_json=as_json, confirm=typer.confirm)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Look at home, processes, services, lag, parked inputs, streams and clock; exit code 1 on trouble."""
    from cli.commands.doctor import doctor as run

    run(Settings.from_environment(), as_json=as_json)


@app.command()
def tail(
    service: Service = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Only this event, such as IncidentCreated.")] = None,
    as_json: Json = False,
) -> None:
    """Show events as they are published."""
    from cli.commands.tail import tail as run

    run(Settings.from_environment(), service, type_name, as_json=as_json)


for looking_back in (history.replay, history.explain, history.rebuild):
    app.command()(looking_back)


@alerts.command("send")
def alert_send(
    summary: Annotated[str, typer.Argument(help="What is wrong, in a line.")],
    source: Annotated[str, typer.Option(help="Who says so: published on pager.alerts.<source>.")] = "cli",
    priority: Annotated[PriorityName | None, typer.Option(help="How bad; high by default.")] = None,
    dedup_key: Annotated[str | None, typer.Option(help="Alerts with the same key are one incident.")] = None,
    description: Annotated[str | None, typer.Option(help="More about it.")] = None,
    routing_key: Annotated[str | None, typer.Option(help="An integration's key.")] = None,
    action: Annotated[ActionName, typer.Option(help="All but trigger need a routing key.")] = ActionName.TRIGGER,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be repeated.")] = None,
    cloud_event: Annotated[bool, typer.Option("--cloud-event", help="As a CloudEvent, not as plain JSON.")] = False,
    as_json: Json = False,
) -> None:
    """Publish an alert without credentials, as senders do, and show that it is on disk."""
    from cli.commands.alert import AlertToSend, metadata_of, send
    from libs.contracts.alerts import Action
    from libs.contracts.model import Priority

    alert = AlertToSend(
        summary=summary,
        source=source,
        priority=None if priority is None else Priority(priority),
        dedup_key=dedup_key,
        description=description,
        routing_key=routing_key,
        action=Action(action),
        metadata=metadata_of(metadata or []),
        cloud_event=cloud_event,
    )
    send(Settings.from_environment(), alert, as_json=as_json)


@parked.command("list")
def parked_list(service: Service = None, as_json: Json = False) -> None:
    """What was set aside, and why."""
    from cli.commands.parked import list_parked as run

    run(Settings.from_environment(), service, as_json=as_json)


@parked.command("replay")
def parked_replay(
    parked_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="As `list` shows it; else all.")] = None,
    service: Service = None,
    as_json: Json = False,
) -> None:
    """Try what was set aside again."""
    from cli.commands.parked import replay_parked as run

    run(Settings.from_environment(), parked_id, service, as_json=as_json)


def _migrate(direction: str, service: str | None, revision: str | None, as_json: bool) -> None:
    from cli.commands.migrate import migrate as run

    run(Settings.from_environment(), direction, service, revision, as_json=as_json)


OneService = Annotated[str | None, typer.Argument(help="A service; all by default.")]
Revision = Annotated[str | None, typer.Option("--to", metavar="REVISION", help="A revision; `base` is nothing at all.")]


@migrations.command("up")
def migrate_up(service: OneService = None, to: Revision = None, as_json: Json = False) -> None:
    """Bring schemas to their newest revision, or to the one named."""
    _migrate("up", service, to, as_json)


@migrations.command("down")
def migrate_down(
    service: Annotated[str, typer.Argument(help="A service.")], to: Revision = None, as_json: Json = False
) -> None:
    """Take a schema back by one revision, or to the one named: what only the newer one holds is lost."""
    _migrate("down", service, to, as_json)


@migrations.command("status")
def migrate_status(service: OneService = None, as_json: Json = False) -> None:
    """Where schemas stand."""
    _migrate("status", service, None, as_json)


def main() -> None:
    """Entry point: every failure is one line on stderr, and exit code 1 or 2."""
    sys.exit(exit_code_of(lambda: app(standalone_mode=False)))


def exit_code_of(command: Callable[[], Any]) -> int:
    """Run a command and say what went wrong."""
    try:
        result = command()
        return result if isinstance(result, int) else 0
    except typer.Abort:
        return _say("stopped", STOPPED)
    except typer.TyperException as error:
        tell = getattr(error, "format_message", error.__str__)
        return _say(str(tell()), USAGE)
    except Failure as failure:
        return _say(str(failure), failure.exit_code)
    except StartError as error:
        return _say(str(error), TROUBLE)
    except BrokenPipeError:
        # Whoever read our output has seen enough; nothing may be written at the interpreter's end either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return TROUBLE
    except Exception as error:
        if os.environ.get("PAGER_DEBUG"):
            raise
        return _say(f"unexpected {type(error).__name__}: {error} (PAGER_DEBUG=1 shows where)", TROUBLE)


def _say(message: str, code: int) -> int:
    sys.stderr.write(f"pager: {' '.join(message.split())}\n")
    return code


if __name__ == "__main__":
    main()
