"""`pager tail`: events as they are published, or what becomes of incidents."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.options import Json, Service
from cli.console.event_line import head_of, print_event, words_of
from cli.console.failure import USAGE, Failure
from cli.console.incident_line import line_of, notice_of
from cli.console.output import console, json_line
from cli.reach.running import operator_url
from cli.settings import Settings

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from rich.console import Console


def tail(
    service: Service = None,
    type_name: Annotated[str | None, typer.Option("--type", help="Only this event, such as IncidentCreated.")] = None,
    incidents: Annotated[bool, typer.Option("--incidents", help="What becomes of incidents, over the API.")] = False,
    after: Annotated[str | None, typer.Option(help="With --incidents: the position to go on from.")] = None,
    as_json: Json = False,
) -> None:
    """Show events as they are published, or with --incidents how incidents stand, as they change.

    The latter as the admin of this home, or with PAGER_API_KEY, a key with the scope incidents.list; a line that breaks
    is taken up where it was. With --json each has its position.

    For example: pager tail --type IncidentCreated
    """
    from cli.stack.interrupt import run_until_signal

    if incidents and (service is not None or type_name is not None):
        raise Failure("--incidents: not together with --service or --type", USAGE)
    if after is not None and not incidents:
        raise Failure("--after: only with --incidents", USAGE)
    settings = Settings.from_environment()
    if incidents:
        run_until_signal(_follow_incidents(settings, after, as_json))
        return
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
    if name is not None:
        _known(name, service)
    return f"pager.events.{service or '*'}.*.{name or '*'}.*"


def _known(name: str, service: str | None) -> None:
    """Raises `Failure`: there is no such event (of that service), and nothing would ever be shown."""
    from difflib import get_close_matches

    from libs.contracts.envelope import FACTS
    from libs.contracts.events import declare_events

    declare_events()
    names = {kind.split(".")[2] for kind in FACTS if service is None or kind.split(".")[1] == service}
    if name not in names:
        near = get_close_matches(name, names, 1) or ["IncidentCreated" if service is None else min(names)]
        of_it = f" of {service}" if service is not None else ""
        raise Failure(f"--type: {name!r} is no event{of_it}, such as {near[0]}; docs/events.md has all", USAGE)


def event_of(message: "Msg") -> dict[str, Any]:
    """One event as `--json` prints it: the envelope, and where it stands in its log."""
    envelope: dict[str, Any] = json.loads(message.data)
    headers = message.headers or {}
    return {"subject": message.subject, "position": int(headers.get("Pager-Position", 0))} | envelope


async def _follow(url: str, subject: str, out: "Console", as_json: bool) -> None:
    from cli.reach import bus
    from libs.chassis.bus.sending import has_sent

    async with bus.connected(url) as client:
        subscription = await client.subscribe(subject)
        await has_sent(client)
        if not as_json:
            out.print(f"listening on {subject}; Ctrl-C ends", style="dim")
        async for message in subscription.messages:
            event = event_of(message)
            if as_json:
                json_line(event)
            else:
                print_event(out, head_of(event), words_of(event))
    raise Failure("NATS is gone")


async def _follow_incidents(settings: Settings, after: str | None, as_json: bool) -> None:
    """Raises `Failure`: it cannot go on."""
    from contextlib import aclosing

    from cli.stack.speaking import speaking

    out, live = console(), True
    async with speaking(settings) as api, aclosing(api.stream(after, proxy=None)) as frames:
        async for frame in frames:
            if as_json:
                json_line(frame)
                continue
            if "incident" in frame:
                out.print(line_of(frame), soft_wrap=True)
            elif (notice := notice_of(frame)) is not None:
                out.print(notice, style="dim")
            if frame.get("live", live) != live:
                live = not live
                out.print(
                    "told as it happens again" if live else "something is away: what happens is told later", style="dim"
                )
