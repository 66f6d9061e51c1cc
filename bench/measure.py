"""What happened to each alert, read afterwards from the streams and from the simulators' record."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import aiohttp
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

_PAGE = 5000


class Pushes:
    """The simulators' record, read in pages; `wait_for` returns when so many alerts have been pushed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._after = 0
        self.received: dict[str, float] = {}
        """Unix seconds of the first push of each incident, by the incident's id."""

    async def skip(self) -> None:
        """Forget what was pushed before this run."""
        await self.read()
        self.received.clear()

    async def read(self) -> int:
        async with aiohttp.ClientSession() as http:
            while True:
                async with http.get(f"{self._url}/pushes?after={self._after}&limit={_PAGE}") as answer:
                    page = await answer.json()
                for push in page:
                    at = datetime.fromisoformat(push["receivedAt"]).timestamp()
                    self.received.setdefault(incident_of(push), at)
                if page:
                    self._after = page[-1]["id"]
                if len(page) < _PAGE:
                    return len(self.received)

    async def wait_for(self, count: int, seconds: float) -> float:
        """Seconds until so many had been pushed, or until time was up."""
        begun = time.perf_counter()
        while await self.read() < count and time.perf_counter() - begun < seconds:
            await asyncio.sleep(0.2)
        return time.perf_counter() - begun


def incident_of(push: Mapping[str, Any]) -> str:
    payload = push["payload"]
    return str(payload["incidentId"] if push["provider"] == "apns" else payload["message"]["data"]["incidentId"])


async def read_stream(operator: Client, stream: str, since: datetime) -> list[tuple[float, dict[str, Any]]]:
    """(stored at, envelope) of every event since a moment, oldest first."""
    js = operator.jetstream()
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_TIME,
        opt_start_time=since.isoformat().replace("+00:00", "Z"),  # type: ignore[arg-type]
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
    )
    subscription = await js.pull_subscribe("", stream=stream, config=config)
    left = (await subscription.consumer_info()).num_pending or 0
    found: list[tuple[float, dict[str, Any]]] = []
    while left > 0:
        for message in await subscription.fetch(min(left, 500), timeout=5):
            found.append((message.metadata.timestamp.timestamp(), json.loads(message.data)))
            left -= 1
    await subscription.unsubscribe()
    return found


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds."""
    if not seconds:
        return {}
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000, 1)

    return {"p50": at(0.50), "p95": at(0.95), "p99": at(0.99), "max": round(ordered[-1] * 1000, 1)}


async def hops(
    operator: Client, since: datetime, sent_at: Mapping[int, float], received: Mapping[str, float], tag: str
) -> dict[str, Any]:
    """Publish → push, and each hop on the way, of the alerts of this run."""
    incidents = await read_stream(operator, "INCIDENTS", since)
    escalation = await read_stream(operator, "ESCALATION", since)
    notifier = await read_stream(operator, "NOTIFIER", since)
    created = {
        e["data"]["incidentId"]: (at, e)
        for at, e in incidents
        if e["type"].endswith("IncidentCreated.v1") and e["data"]["metadata"].get("bench") == tag
    }
    due = {e["data"]["incidentId"]: at for at, e in escalation if e["type"].endswith("EscalationDue.v1")}
    intended = {e["data"]["incidentId"]: at for at, e in notifier if e["type"].endswith("NotificationIntended.v1")}
    whole, first, second, third = [], [], [], []
    for incident_id, (published, event) in created.items():
        if incident_id not in received:
            continue
        sent = sent_at[event["data"]["metadata"]["number"]]
        whole.append(received[incident_id] - sent)
        first.append(published - sent)
        if incident_id in due:
            second.append(due[incident_id] - published)
            third.append(received[incident_id] - due[incident_id])
    return {
        "incidents": len(created),
        "pushed": len(whole),
        "intended": sum(1 for i in created if i in intended),
        "publishToPushMs": percentiles(whole),
        "byHopMs": {
            "alert published → IncidentCreated on the bus": percentiles(first),
            "→ EscalationDue on the bus": percentiles(second),
            "→ push received": percentiles(third),
        },
    }
