"""Whatever bytes a sender puts on the bus are an alert or are refused, and the next alert pages as ever (promise 8)."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

from libs.chassis.testing.deadline import in_time
from tests.world import World

_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n'
_BODY = b'{"summary": "from nowhere", "priority": "low"}'
_SUBJECTS = (b"\xff\xfe", b"\xff\xfe.critical", b"a\x0cb", b"a\x0bb.critical", b"a\rb")
_STATUSES = ("100", "404", "408", "409", "503")


async def _write(world: World, *commands: bytes) -> None:
    """As bytes on a socket, since a client would refuse them; returns when the server has read them all."""
    address = urlsplit(world.servers.nats)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"".join((_CONNECT, *commands, b"PING\r\n")))
    await writer.drain()
    async with in_time():
        while (line := await reader.readline()) != b"PONG\r\n":
            assert not line.startswith(b"-ERR"), line
    writer.close()
    await writer.wait_closed()


def _named(subject: bytes) -> bytes:
    return b"PUB pager.alerts.%b %d\r\n%b\r\n" % (subject, len(_BODY), _BODY)


def _empty(subject: str, status: str) -> bytes:
    block = f"NATS/1.0\r\nStatus: {status}\r\nDescription: mine\r\n\r\n".encode()
    return b"HPUB %b %d %d\r\n%b\r\n" % (subject.encode(), len(block), len(block), block)


async def _pages_at_once(world: World, summary: str) -> None:
    reconnects = {name: service.bus.client.stats["reconnects"] for name, service in world.services.items()}
    await world.fire_alert(summary, f"{summary}.critical", priority="critical")
    async with in_time():  # the others may page as well, before it
        while summary not in json.dumps((await world.phone("ana").expect_push())["payload"], ensure_ascii=False):
            pass
    await world.settle()
    for name in world.services:
        health = await world.health(name)
        assert (health["ready"], health["stopped"]) == (True, []), health
    assert reconnects == {name: service.bus.client.stats["reconnects"] for name, service in world.services.items()}
    assert not any(reconnects.values())


async def test_an_alert_on_a_subject_of_any_bytes_is_taken_and_the_next_one_pages(world: World) -> None:
    await world.two_responders()
    for number, subject in enumerate(_SUBJECTS):
        await _write(world, _named(subject))
        await _pages_at_once(world, f"after-{number}")
    assert len([i for i in await world.incidents() if i["title"] == "from nowhere"]) == len(_SUBJECTS)


async def test_an_empty_message_that_calls_itself_a_status_is_an_unreadable_alert(world: World) -> None:
    await world.two_responders()
    for status in _STATUSES:
        await _write(
            world, _empty(f"pager.alerts.s{status}", status), _empty(f"pager.alerts.s{status}.critical", status)
        )
        await _pages_at_once(world, f"after-{status}")
    parked = await world.parked()
    assert sorted({p["entity"] for p in parked}) == sorted(f"s{status}" for status in _STATUSES)
    assert all("not JSON" in p["reason"] for p in parked)
    assert len(parked) == 2 * len(_STATUSES)


async def test_a_service_that_starts_after_them_reads_over_them(world: World) -> None:
    await world.two_responders()
    await world.stop("incidents")
    await _write(world, *map(_named, _SUBJECTS), *(_empty("pager.alerts.s.critical", status) for status in _STATUSES))
    await world.start("incidents")
    await _pages_at_once(world, "after")
