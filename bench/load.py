"""Alerts as a sender publishes them: anonymously, each with an acknowledgement from JetStream."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from nats.aio.client import Client
from nats.aio.msg import Msg


@dataclass
class Sender:
    """Publishes without waiting for one acknowledgement before the next alert; counts those that came."""

    client: Client
    subject: str
    body: Callable[[int], bytes]
    sent_at: dict[int, float] = field(default_factory=dict)
    """Unix seconds just before each was handed to the socket, by number."""
    accepted: int = 0
    refused: int = 0

    async def start(self) -> None:
        self._inbox = self.client.new_inbox()
        await self.client.subscribe(self._inbox, cb=self._on_ack)

    async def at_rate(self, rate: float, seconds: float) -> None:
        """An open loop: a slow Pager does not slow the senders down."""
        count = int(rate * seconds)
        begun = time.perf_counter()
        for number in range(count):
            wait = begun + number / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            await self._send(number)
        await self.acknowledged(count)

    async def all_at_once(self, count: int) -> None:
        """As fast as they are accepted, 1,000 ahead of the acknowledgements."""
        for number in range(count):
            await self._send(number)
            if number % 1000 == 999:
                await self.acknowledged(number + 1)
        await self.acknowledged(count)

    async def acknowledged(self, count: int, seconds: float = 30.0) -> None:
        """Return when so many have been answered."""
        await self.client.flush()
        deadline = time.perf_counter() + seconds
        while self.accepted + self.refused < count:
            if time.perf_counter() > deadline:
                raise SystemExit(f"{self.accepted} of {count} alerts were acknowledged in {seconds:.0f} s")
            await asyncio.sleep(0.005)

    async def _send(self, number: int) -> None:
        body = self.body(number)
        self.sent_at[number] = time.time()
        await self.client.publish(self.subject, body, reply=self._inbox)

    async def _on_ack(self, message: Msg) -> None:
        if b'"seq"' in message.data and b'"error"' not in message.data:
            self.accepted += 1
        else:
            self.refused += 1


def alert_body(routing_keys: tuple[str, ...], tag: str) -> Callable[[int], bytes]:
    """Alert `n` pages one phone: the phones take turns. Nothing folds: there is no dedup key."""

    def body(number: int) -> bytes:
        alert = {
            "summary": f"bench {tag} {number}",
            "priority": "critical",
            "routingKey": routing_keys[number % len(routing_keys)],
            "metadata": {"bench": tag, "number": number},
        }
        return json.dumps(alert).encode()

    return body
