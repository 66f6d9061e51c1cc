"""`pager parked list|replay`: inputs that were set aside (promise 8)."""

from typing import Annotated, Final

import typer

from cli.commands.options import Json, Service
from cli.console.failure import Failure
from cli.console.output import console, labelled, print_json, table
from cli.reach.running import operator_url
from cli.settings import Settings

_SHOWN: Final = 400

parked = typer.Typer(name="parked", no_args_is_help=True, help="Inputs that were set aside with a reason.")


@parked.command("list")
def list_parked(service: Service = None, as_json: Json = False) -> None:
    """What was set aside, and why.

    For example: pager parked list --service incidents
    """
    import asyncio

    from cli.reach.parked import parked_at, services_of

    settings = Settings.from_environment()
    services = services_of(service)
    found = asyncio.run(parked_at(operator_url(settings), services))
    if as_json:
        print_json({"parked": found})
        return
    if not found:
        console().print("nothing is parked")
        return
    out = console()
    for entry in found:
        place = f"{entry['upstream']}.{entry['lane']}/{entry['position']}"
        out.print(f"{entry['id']}  {entry['kind']}, parked at {entry['parkedAt']}", style="bold")
        told = {"from": f"{place}, {entry['type']}", "reason": entry["reason"], "sent": _brief(entry["raw"])}
        out.print(labelled(told.items()))


def _brief(sent: str) -> str:
    """Its beginning: `--json` has all of it."""
    return sent if len(sent) <= _SHOWN else f"{sent[:_SHOWN]}… ({len(sent):,} characters, all with --json)"


@parked.command("replay")
def replay_parked(
    parked_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="As `list` shows it; else all.")] = None,
    service: Service = None,
    as_json: Json = False,
) -> None:
    """Try what was set aside again.

    For example: pager parked replay incidents/12
    """
    import asyncio

    from cli.reach.parked import parse_id, replayed_at, services_of

    settings = Settings.from_environment()
    chosen, number = parse_id(parked_id) if parked_id is not None else (service, None)
    services = services_of(chosen)
    done = asyncio.run(replayed_at(operator_url(settings), services, number))
    if as_json:
        print_json(done)
    else:
        rows = [(name, result["replayed"], result["stillParked"]) for name, result in done.items()]
        console().print(table(None, ("service", "replayed", "still parked"), rows))
    wanted_left = sum(result["stillParked"] for result in done.values()) if number is None else 0
    if wanted_left or (number is not None and not done[services[0]]["replayed"]):
        raise Failure("something failed again and stays parked: see `pager parked list`")
