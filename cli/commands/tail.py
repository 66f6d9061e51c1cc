"""`pager tail`: events as they are published."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.commands.options import Json, Service
from cli.console.failure import USAGE, Failure
from cli.console.output import PRIORITY_STYLE, console, json_line
from cli.reach.running import operator_url
from cli.settings import Settings

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from rich.console import Console
    from rich.text import Text

_COLOURS: Final = {"auth": "blue", "oncall": "magenta", "incidents": "red", "escalation": "yellow", "notifier": "green"}
_TELLING: Final = ("title", "name", "level", "round", "reason", "state", "provider", "kind", "priority", "summary")


def tail(
    service: Service = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Only this event, such as IncidentCreated.")] = None,
    as_json: Json = False,
) -> None:
    """Show events as they are published."""
    from cli.stack.interrupt import run_until_signal

    settings = Settings.from_environment()
    subject = subject_of(service, type_name)
    url = operator_url(settings)
    run_until_signal(_follow(url, subject, console(), as_json))


def subject_of(service: str | None, type_name: str | None) -> str:
    """What to subscribe to. `type_name` is an event's name (`IncidentCreated`) or its whole type. Raises `Failure`."""
    from libs.contracts.subjects import SERVICES

    if service is not None and service not in SERVICES:
        raise Failure(f"--service: {service!r} is none of {', '.join(SERVICES)}", USAGE)
    name = type_name
    if type_name is not None and type_name.startswith("pager."):
        parts = type_name.split(".")
        name = parts[2] if len(parts) > 2 else ""
        service = service or parts[1]
    if name is not None and not name.isalnum():
        raise Failure(f"--type: {type_name!r} is no event type, such as IncidentCreated", USAGE)
    return f"pager.events.{service or '*'}.*.{name or '*'}.*"


def event_of(message: "Msg") -> dict[str, Any]:
    """One event as `--json` prints it: the envelope, and where it stands in its log."""
    envelope: dict[str, Any] = json.loads(message.data)
    headers = message.headers or {}
    return {"subject": message.subject, "position": int(headers.get("Pager-Position", 0))} | envelope


def line_of(event: dict[str, Any]) -> "Text":
    """Time (UTC), event, entity and what tells most of its data."""
    from rich.text import Text

    _, service, name, _ = str(event["type"]).split(".")
    at = datetime.fromisoformat(event["time"])
    data = event["data"]
    brief = data.get("brief") or {}
    told = {key: value for key in _TELLING if (value := data.get(key, brief.get(key))) not in (None, "", [])}
    line = Text(f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}  ")
    line.append(f"{service:<11}", _COLOURS.get(service, ""))
    line.append(f"{name:<24}", "bold")
    line.append(f"{str(event['entity'])[:8]}  ", "dim")
    for key, value in told.items():
        style = PRIORITY_STYLE.get(str(value), "") if key == "priority" else ""
        line.append(f"{key}=", "dim").append(f"{value} ", style)
    return line


async def _follow(url: str, subject: str, out: "Console", as_json: bool) -> None:
    from cli.reach import bus

    async with bus.connected(url) as client:
        subscription = await client.subscribe(subject)
        await client.flush()
        if not as_json:
            out.print(f"listening on {subject}; Ctrl-C ends", style="dim", markup=False)
        async for message in subscription.messages:
            event = event_of(message)
            if as_json:
                json_line(event)
            else:
                out.print(line_of(event), soft_wrap=True)
    raise Failure("NATS is gone")
