"""Inputs that services have set aside (promise 8), asked for over the bus."""

from typing import Any, Final

from nats.aio.client import Client

from cli.console.failure import USAGE, Failure
from cli.reach.bus import ask, connected
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
        page = (await ask(client, service, "parked", {"after": after, "limit": PAGE}))["parked"]
        found += [entry | {"id": f"{service}/{entry['id']}", "service": service} for entry in page]
        if len(page) < PAGE:
            return found
        after = page[-1]["id"]


async def parked_at(url: str, services: tuple[str, ...]) -> list[dict[str, Any]]:
    """What these services have parked. Raises `Failure`."""
    async with connected(url) as client:
        return [entry for service in services for entry in await parked_in(client, service)]


async def replayed_at(url: str, services: tuple[str, ...], number: int | None) -> dict[str, dict[str, int]]:
    """Let these services try all they have parked again, or one; what came of it, by service. Raises `Failure`."""
    body = {} if number is None else {"id": number}
    async with connected(url) as client:
        return {service: await ask(client, service, "replay", body, timeout=60.0) for service in services}
