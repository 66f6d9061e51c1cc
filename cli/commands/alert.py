"""`pager alert send`: publishes as any sender does."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
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
        metadata=metadata_of(metadata or []),
        cloud_event=cloud_event,
    )
    _publish(Settings.from_environment(), alert, as_json=as_json)


def metadata_of(pairs: list[str]) -> dict[str, str]:
    """`key=value` each. Raises `Failure`."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Failure(f"--metadata: {pair!r} is not key=value", USAGE)
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
