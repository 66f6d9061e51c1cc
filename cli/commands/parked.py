"""`pager parked list|replay`: inputs that were set aside (design, rule 8)."""

import asyncio
from typing import Any, Final

from nats.aio.client import Client

from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.reach import bus
from cli.reach.running import operator_url
from cli.settings import Settings
from libs.contracts.subjects import SERVICES

PAGE: Final = 100


def services_of(service: str | None) -> tuple[str, ...]:
    """One, or all. Raises `Failure`."""
    if service is not None and service not in SERVICES:
        raise Failure(f"--service: {service!r} is none of {', '.join(SERVICES)}", USAGE)
    return (service,) if service else SERVICES


def parse_id(text: str) -> tuple[str, int]:
    """`incidents/12`, as `list` shows it: numbers are per service. Raises `Failure`."""
    service, _, number = text.partition("/")
    if service not in SERVICES or not number.isascii() or not number.isdigit():
        raise Failure(f"{text!r} is no parked id, such as incidents/12 (see `pager parked list`)", USAGE)
    return service, int(number)


async def parked_in(client: Client, service: str) -> list[dict[str, Any]]:
    """Everything that a service has parked, oldest first; `id` tells the service too."""
    found: list[dict[str, Any]] = []
    after = 0
    while True:
        page = (await bus.ask(client, service, "parked", {"after": after, "limit": PAGE}))["parked"]
        found += [entry | {"id": f"{service}/{entry['id']}", "service": service} for entry in page]
        if len(page) < PAGE:
            return found
        after = page[-1]["id"]


def list_parked(settings: Settings, service: str | None, *, as_json: bool) -> None:
    """Raises `Failure`."""
    services = services_of(service)

    async def read() -> list[dict[str, Any]]:
        async with bus.connected(operator_url(settings)) as client:
            return [entry for one in services for entry in await parked_in(client, one)]

    found = asyncio.run(read())
    if as_json:
        print_json({"parked": found})
        return
    if not found:
        console().print("nothing is parked")
        return
    columns = ("id", "parked at", "kind", "from", "type", "reason")
    rows = [
        (e["id"], e["parkedAt"], e["kind"], f"{e['upstream']}.{e['lane']}/{e['position']}", e["type"], e["reason"])
        for e in found
    ]
    console().print(table(None, columns, rows))


def replay_parked(settings: Settings, parked_id: str | None, service: str | None, *, as_json: bool) -> None:
    """Try one again, or all. Raises `Failure`, also when something stays parked."""
    chosen, number = parse_id(parked_id) if parked_id is not None else (service, None)
    services = services_of(chosen)
    body = {} if number is None else {"id": number}

    async def replay() -> dict[str, dict[str, int]]:
        async with bus.connected(operator_url(settings)) as client:
            return {one: await bus.ask(client, one, "replay", body, timeout=60.0) for one in services}

    done = asyncio.run(replay())
    if as_json:
        print_json(done)
    else:
        rows = [(name, result["replayed"], result["stillParked"]) for name, result in done.items()]
        console().print(table(None, ("service", "replayed", "still parked"), rows))
    wanted_left = sum(result["stillParked"] for result in done.values()) if number is None else 0
    if wanted_left or (number is not None and not done[services[0]]["replayed"]):
        raise Failure("something failed again and stays parked: see `pager parked list`")
