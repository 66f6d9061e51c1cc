"""An outside system that sends alerts: anonymous, nats-py alone, and it repeats what nobody has acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from tests.chaos.responder import acknowledges_at_once
from tests.chaos.roster import Roster

PATIENCE = 1.0
"""Seconds without an acknowledgement after which an alert is sent again, with the same identity."""


@dataclass
class Alert:
    """One alert; times are Unix seconds. Accepted: JetStream has acknowledged one of its sends."""

    number: int
    sent_at: float
    last_sent_at: float
    sends: int = 1
    accepted_at: float | None = None


@dataclass
class Sender:
    """An open loop at `rate` alerts a second while `flowing`; what is not acknowledged is repeated until it is."""

    url: str
    roster: Roster
    tag: str
    rate: float
    on_accepted: Callable[[int], None] = lambda number: None
    alerts: dict[int, Alert] = field(default_factory=dict)
    flowing: bool = False
    accepted: int = 0
    _unanswered: deque[int] = field(default_factory=deque)

    async def run(self) -> None:
        """Send for ever."""
        self._client = await _connect(self.url)
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", cb=self._on_ack)
        due = time.time()
        try:
            while True:
                now = time.time()
                due = max(due, now - 0.5)  # after a pause of this process: no burst to make up for it
                while self.flowing and due <= now:
                    await self._send_new(now)
                    due += 1 / self.rate
                await self._repeat(now)
                await asyncio.sleep(0.005)
        finally:
            await self._client.close()

    async def _send_new(self, now: float) -> None:
        number = len(self.alerts)
        self.alerts[number] = Alert(number, now, now)
        self._unanswered.append(number)
        await self._publish(number)

    async def repeat(self, times: int) -> int:
        """One alert of the flow with a dedup key, and the same so many times more; returns its number."""
        while _form(number := len(self.alerts)) < 2 or acknowledges_at_once(number):
            await self._send_new(time.time())
        await self._send_new(time.time())
        for done in range(times):
            await self._publish(number)
            if done % 100 == 99:
                await self._client.flush(timeout=30)
        return number

    async def send_aside(self, summary: str, routing_key: str) -> None:
        """An alert that is not of the flow; returns when it is on disk."""
        body = {"summary": summary, "priority": "critical", "routingKey": routing_key, "dedupKey": summary}
        subject = "pager.alerts.aside.critical"
        await self._client.jetstream(timeout=30).publish(subject, json.dumps(body).encode())

    async def _repeat(self, now: float) -> None:
        """The queue is in the order of the last sends."""
        while self._unanswered:
            alert = self.alerts[self._unanswered[0]]
            if alert.accepted_at is not None:
                self._unanswered.popleft()
            elif now - alert.last_sent_at >= PATIENCE and self._client.is_connected:
                self._unanswered.rotate(-1)
                alert.last_sent_at = now
                alert.sends += 1
                await self._publish(alert.number)
            else:
                return

    async def _publish(self, number: int) -> None:
        subject, headers, body = alert_message(number, self.tag, self.roster)
        if self._client.is_connected:
            with contextlib.suppress(NatsError, OSError):  # sent again when no acknowledgement comes
                await self._client.publish(subject, body, reply=f"{self._inbox}.{number}", headers=headers)

    async def _on_ack(self, message: Msg) -> None:
        alert = self.alerts[int(message.subject.rsplit(".", 1)[1])]
        if b'"seq"' in message.data and b'"error"' not in message.data and alert.accepted_at is None:
            alert.accepted_at = time.time()
            self.accepted += 1
            self.on_accepted(alert.number)


async def _connect(url: str) -> Client:
    async def quiet(_error: Exception) -> None:
        """The bus dies on purpose here."""

    return await nats.connect(
        url, max_reconnect_attempts=-1, reconnect_time_wait=0.05, connect_timeout=1, ping_interval=5, error_cb=quiet
    )


def _form(number: int) -> int:
    """Which of the four forms an alert has; 2 and 3 are plain JSON with a dedup key."""
    return (number // 4) % 4


def alert_message(number: int, tag: str, roster: Roster) -> tuple[str, dict[str, str] | None, bytes]:
    """Subject, headers and body: plain JSON and both kinds of CloudEvent, urgent and routine ones, by turns."""
    key = f"{tag}-{number}"
    priority = ("critical", "high", "low")[number % 3]
    suffix = f".{priority}" if number % 2 and priority != "low" else ""
    data: dict[str, object] = {
        "summary": f"chaos {tag} {number}",
        "priority": priority,
        "routingKey": roster.route(number).key,
        "metadata": {"chaos": tag, "number": number},
    }
    subject = f"pager.alerts.chaos{suffix}"
    attributes = {"id": key, "source": "/chaos", "type": "org.example.alert", "specversion": "1.0"}
    match _form(number):
        case 0:
            headers = {f"ce-{name}": value for name, value in attributes.items()}
            return subject, headers | {"content-type": "application/json"}, json.dumps(data).encode()
        case 1:
            event = attributes | {"datacontenttype": "application/json", "data": data}
            return subject, {"content-type": "application/cloudevents+json"}, json.dumps(event).encode()
        case _:
            return subject, None, json.dumps(data | {"dedupKey": key}).encode()
