"""`pager alert send`: publishes as any sender does."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.reach.running import sender_url
from cli.settings import Settings

if TYPE_CHECKING:
    from cli.reach.alerts import AlertToSend

alerts = typer.Typer(name="alert", no_args_is_help=True, help="Alerts.")


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


_HOW: Final = f"How bad: {', '.join(PriorityName)}; high by default."
_WHAT: Final = f"One of {', '.join(ActionName)}; all but trigger need a routing key."


@alerts.command("send")
def send(
    summary: Annotated[str, typer.Argument(help="What is wrong, in a line.")],
    source: Annotated[str, typer.Option(help="Who says so: published on pager.alerts.<source>.")] = "cli",
    priority: Annotated[PriorityName | None, typer.Option(metavar="HOW", help=_HOW)] = None,
    dedup_key: Annotated[str | None, typer.Option(help="Alerts with the same key are one incident.")] = None,
    description: Annotated[str | None, typer.Option(help="More about it.")] = None,
    routing_key: Annotated[str | None, typer.Option(help="An integration's key.")] = None,
    action: Annotated[ActionName, typer.Option(metavar="WHAT", help=_WHAT)] = ActionName.TRIGGER,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be repeated.")] = None,
    fingerprint: Annotated[str | None, typer.Option(help="Which of the alerts of its key it is.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="May be repeated.")] = None,
    link: Annotated[list[str] | None, typer.Option(metavar="URL", help="Where to read more; may be repeated.")] = None,
    cloud_event: Annotated[bool, typer.Option("--cloud-event", help="As a CloudEvent, not as plain JSON.")] = False,
    as_json: Json = False,
) -> None:
    """Publish an alert without credentials, as senders do, and show that it is on disk.

    For example: pager alert send "Disk is full" --priority critical --source db
    """
    from cli.reach.alerts import AlertToSend
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
        metadata=pairs_of("--metadata", metadata or []),
        fingerprint=fingerprint,
        labels=pairs_of("--label", label or []),
        links=link or [],
        cloud_event=cloud_event,
    )
    _publish(Settings.from_environment(), alert, as_json=as_json)


def pairs_of(option: str, pairs: list[str]) -> dict[str, str]:
    """`key=value` each. Raises `Failure`."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Failure(f"{option}: {pair!r} is not key=value", USAGE)
        found[key] = value
    return found


def _publish(settings: Settings, alert: "AlertToSend", *, as_json: bool) -> None:
    """Publish, and show the PubAck. Raises `Failure`."""
    import asyncio
    import json

    from cli.reach import bus

    subject, body = alert.subject, json.dumps(alert.body(), ensure_ascii=False).encode()

    async def publish() -> dict[str, Any]:
        async with bus.connected(sender_url(settings)) as client:
            return await bus.publish_alert(client, subject, body, alert.headers())

    ack = asyncio.run(publish())
    if as_json:
        print_json({"subject": subject, "ack": ack})
    else:
        line = f"accepted: on disk as message {ack['seq']} of {ack['stream']} (published on {subject})"
        console().print(line)


class StateName(StrEnum):
    """The states of `libs.contracts.incident_alerts`."""

    OPEN = "open"
    RESOLVED = "resolved"


@alerts.command("list")
def list_(
    incident: Annotated[str, typer.Argument(help="Its number, its id, or the beginning of its id.")],
    state: Annotated[StateName | None, typer.Option(help="Only those that burn, or that are over.")] = None,
    as_json: Json = False,
) -> None:
    """The alerts of an incident: what each says, how often it came, and whether it is over.

    For example: pager alert list 17 --state open
    """
    wanted: dict[str, Any] = {"key": incident, "limit": 100} | ({} if state is None else {"state": state})
    found: list[dict[str, Any]] = []
    while True:
        page = _asked("find_alerts", wanted)
        found += page["alerts"]
        if page.get("nextCursor") is None:
            break
        wanted["cursor"] = page["nextCursor"]
    if as_json:
        print_json({"alerts": found})
        return
    rows = [
        (str(a["number"]), a["state"], str(a["count"]), a["lastAt"][:19], a["fingerprint"] or "", a["title"])
        for a in found
    ]
    console().print(table(None, ("no.", "state", "came", "last (UTC)", "fingerprint", "what"), rows))


@alerts.command("outcome")
def outcome(
    sequence: Annotated[int, typer.Argument(help="Of the message in ALERTS, as its acknowledgement said.", min=1)],
    as_json: Json = False,
) -> None:
    """What became of one accepted alert: which incident it is of, or why it is of none.

    For example: pager alert outcome 4711
    """
    found = _asked("outcomes", {"sequence": sequence})
    if as_json:
        print_json(found)
        return
    rows = [
        (one["storedAt"][:19], one["outcome"], one["incidentId"] or "", one["takenAt"][:19])
        for one in found["outcomes"]
    ]
    if not rows:
        console().print("not taken yet, or longer ago than ALERTS keeps its messages (pager doctor)")
        return
    console().print(table(None, ("stored (UTC)", "outcome", "incident", "taken (UTC)"), rows))


@alerts.command("balance")
def balance(
    hours: Annotated[float, typer.Option(help="So far back, at most 192.", min=0.01, max=192)] = 1.0,
    as_json: Json = False,
) -> None:
    """What became of all alerts that were taken lately: every one has one outcome, and they add up.

    For example: pager alert balance --hours 24
    """
    found = _asked("balance", {"hours": hours})
    if as_json:
        print_json(found)
        return
    out = console()
    out.print(f"{found['taken']} alerts taken since {found['since'][:19]} UTC", style="bold")
    rows = [(name, str(times)) for name, times in found["outcomes"].items()]
    rows += [("told by an older release", str(found["untold"]))] if found["untold"] else []
    out.print(table(None, ("outcome", "alerts"), rows))
    out.print(f"{found['waiting']} answers of senders wait for a lane of ALERTS now")


def _asked(operation: str, body: dict[str, Any]) -> Any:
    """What incidents answers an operator. Raises `Failure`."""
    import asyncio

    from cli.reach import bus
    from cli.reach.running import operator_url

    async def ask() -> Any:
        async with bus.connected(operator_url(Settings.from_environment())) as client:
            return await bus.ask(client, "incidents", operation, body)

    return asyncio.run(ask())
