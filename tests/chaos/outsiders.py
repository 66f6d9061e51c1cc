"""What others do while alerts flow: hostile senders, a chatty key, a vendor that fails for some phones."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from libs.contracts.subjects import ALERTS
from tests.chaos.field import Field
from tests.chaos.roster import Crowd, make_crowd

_CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"protocol":1}\r\n'
_ROUNDS = 5
_REPEATS = 5000
_MEANWHILE = 150
"""Alerts that must be paged while the vendor fails for some."""


def hostile_messages() -> list[bytes]:
    """NATS commands that a client would refuse to write, on the subjects of both lanes: the same each time."""
    chance = random.Random(7)
    bodies = [
        b"",
        b"{",
        b"null",
        b"[" * 50_000,
        b'"\\ud800"',
        b"\xef\xbb\xbf{}",
        *map(chance.randbytes, (1, 300, 200_000)),
    ]
    odd = b'{"summary": "odd", "priority": "critical", "dedupKey": 7, "occurredAt": "0001-01-01T00:00:00+01:00"}'
    huge = b"x" * 200_000
    blocks = [f"NATS/1.0 {status} Mine\r\n\r\n".encode() for status in (100, 404, 408, 409, 503)]
    blocks += [f"NATS/1.0\r\nStatus: {status}\r\n\r\n".encode() for status in (100, 404, 408, 409, 503)]
    blocks += [
        b"NATS/1.0\r\nNats-Msg-Id: " + huge + b"\r\n\r\n",
        b"NATS/1.0\r\nce-specversion: 1.0\r\nce-source: /s\r\nce-type: t\r\nce-id: " + huge + b"\r\n\r\n",
        b"NATS/1.0\r\nsubject: pager.alerts.pager.critical\r\n\r\n",
        b"NATS/1.0\r\nno colon\r\n\xff\xfe: \xff\r\n\r\n",
    ]
    subjects = [b"hostile", b"hostile.critical", b"\xff\xfe", b"\xff\xfe.critical", b"a\x0bb.critical", b"a\rb"]
    written = [_plain(subject, body) for subject in subjects for body in (*bodies, odd)]
    return written + [_with_block(subject, block) for subject in subjects[:2] for block in blocks]


def _plain(subject: bytes, body: bytes) -> bytes:
    return b"PUB pager.alerts.%b %d\r\n%b\r\n" % (subject, len(body), body)


def _with_block(subject: bytes, block: bytes) -> bytes:
    return b"HPUB pager.alerts.%b %d %d\r\n%b\r\n" % (subject, len(block), len(block), block)


async def hostile_senders(field: Field) -> None:
    """Everything that is no alert, many times over, between the alerts of others."""
    address, messages = urlsplit(str(field.pager.run["nats"])), hostile_messages()
    operator = await field.pager.connect("operator")
    before = (await operator.jetstream().stream_info(ALERTS)).state.last_seq
    with field.down("senders"):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(_CONNECT)
            for _ in range(_ROUNDS):
                for message in messages:
                    writer.write(message)
                    await writer.drain()
                writer.write(b"PING\r\n")
                while (line := await reader.readline()) != b"PONG\r\n":
                    assert line, "the server has closed the connection"
                    assert not line.startswith(b"-ERR"), line
        finally:
            writer.close()

        async def stored() -> bool:
            # What the server refuses is no attack.
            return (await operator.jetstream().stream_info(ALERTS)).state.last_seq >= before + _ROUNDS * len(messages)

        await field.until("all of it on disk", stored)
    await operator.close()


async def chatty_key(field: Field) -> None:
    """One dedup key, thousands of times."""
    with field.down("senders"):
        number = await field.sender.repeat(_REPEATS)

        async def counted() -> bool:
            page = field.phones.first_page.get(number)
            if page is None:
                return False
            async with field.api() as api:
                incident = (await api.call("GET", f"/incidents/{page.incident_id}"))["incident"]
            return bool(incident["alertCount"] > _REPEATS)

        await field.until("every repeat counted", counted)


async def vendor_fails_for_some(field: Field) -> None:
    """Two phones hang and one is answered 500: everybody else is paged meanwhile, and they when it is over."""
    crowd = await make_crowd(field.pager, field.roster.admin, 3)
    rules = [{"provider": "fcm", "deviceToken": one.push_token, "answer": "hang"} for one in crowd.people]
    rules[-1]["answer"] = "INTERNAL"
    async with aiohttp.ClientSession(field.pager.simulator) as simulators:
        with field.down("vendor"):
            for rule in rules:
                async with simulators.post("/behaviour", json=rule) as answer:
                    assert answer.status == 200, await answer.text()
            for number in range(3):
                await field.sender.send_aside(f"{crowd.name}-{number}", crowd.key)

            async def all_tried() -> bool:
                return all(await _pushes(simulators, crowd))

            await field.until("an attempt at each of these phones", all_tried)
            await field.until_paged(len(field.sender.alerts) + _MEANWHILE, "the others paged meanwhile")
            async with simulators.delete("/behaviour") as answer:
                assert answer.status == 200

        async def all_paged() -> bool:
            return all(len(_taken(pushes)) == 3 for pushes in await _pushes(simulators, crowd))

        await field.until("their pages", all_paged, 120)
        for pushes in await _pushes(simulators, crowd):
            about = {(p["incidentId"], p["notificationId"]) for p in map(_data, pushes) if p["kind"] == "page"}
            assert len(about) == 3, f"repeats under other ids: {sorted(about)}"


async def _pushes(simulators: aiohttp.ClientSession, crowd: Crowd) -> Sequence[list[dict[str, Any]]]:
    """What each phone of the crowd was sent."""
    found = []
    for person in crowd.people:
        async with simulators.get(f"/pushes?limit=1000&deviceToken={person.push_token}") as answer:
            found.append([p for p in await answer.json() if crowd.name in _data(p)["title"]])
    return found


def _taken(pushes: Sequence[dict[str, Any]]) -> set[str]:
    """The incidents whose page the phone has."""
    return {_data(p)["incidentId"] for p in pushes if p["status"] == 200 and _data(p)["kind"] == "page"}


def _data(push: dict[str, Any]) -> dict[str, str]:
    return dict(push["payload"]["message"]["data"])
