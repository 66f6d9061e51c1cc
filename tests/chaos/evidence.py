"""Gathered when all has come to rest: incidents from the API, decisions from the logs, messages from the streams."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from libs.contracts.subjects import Header, stream_of
from pager_client import AsyncPager
from tests.chaos.probe import Probe

_ENDS = (
    "SELECT (SELECT coalesce(max(notification_id), 0) FROM incidents.stored_events),"
    " (SELECT coalesce(max(notification_id), 0) FROM escalation.stored_events),"
    " (SELECT coalesce(max(notification_id), 0) FROM notifier.stored_events)"
)
# Levels that are still to come in this run, too: what was late in an outage leaves a gap as long one level later, and
# a verdict in that gap called pages lost that were not due yet.
_DUE = (
    "SELECT (SELECT count(*) FROM escalation.timers WHERE due_at < now() + interval '10 minutes')"
    " + (SELECT count(*) FROM notifier.outbox)"  # also what is to be tried again later
)
_STRANGERS = (
    "SELECT id FROM incidents.incidents WHERE status NOT IN ('resolved', 'closed')"
    " AND coalesce(view -> 'metadata' ->> 'chaos', '') <> %s LIMIT 500"
)
_LOG = "SELECT notification_id, lane, topic, state FROM {}.stored_events ORDER BY notification_id"


@dataclass(frozen=True)
class Logged:
    """One event of a service's log."""

    position: int
    lane: str
    type: str
    raw: bytes


@dataclass(frozen=True)
class Streamed:
    """One message of a service's stream."""

    sequence: int
    subject: str
    position: int
    previous: int
    message_id: str
    raw: bytes


@dataclass(frozen=True)
class Decisions:
    """What the logs say; times are Unix seconds, by incident id."""

    acknowledged: dict[str, float]
    due: dict[tuple[str, int], float]
    """By incident and level: when it was decided."""


async def incidents_by_alert(gateway: str, access: str, tag: str) -> dict[int, list[str]]:
    """Incident ids by the alert's number, over the API."""
    found: dict[int, list[str]] = defaultdict(list)
    headers, page = {"Authorization": f"Bearer {access}"}, 1
    async with aiohttp.ClientSession(headers=headers) as http:
        while True:
            async with http.get(f"{gateway}/api/v1/incidents?limit=100&page={page}") as answer:
                body = await answer.json()
                assert answer.status == 200, body
            for incident in body["data"]["incidents"]:
                if incident["metadata"].get("chaos") == tag:
                    found[incident["metadata"]["number"]].append(incident["id"])
            if len(body["data"]["incidents"]) < 100:
                return found
            page += 1


async def read_log(probe: Probe, service: str) -> list[Logged]:
    """Everything, in order."""
    rows = await probe.ask(_LOG.format(service))
    assert rows is not None, "PostgreSQL is away"
    return [Logged(position, lane, topic, bytes(state)) for position, lane, topic, state in rows]


async def read_whole_stream(auditor: Client, service: str) -> list[Streamed]:
    """Everything, in order."""
    js = auditor.jetstream()
    config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, ack_policy=AckPolicy.NONE, mem_storage=True)
    subscription = await js.pull_subscribe("", stream=stream_of(service), config=config)
    left = (await subscription.consumer_info()).num_pending or 0
    found: list[Streamed] = []
    while left > 0:
        for message in await subscription.fetch(min(left, 1000), timeout=5):
            headers = message.headers or {}
            found.append(
                Streamed(
                    message.metadata.sequence.stream,
                    message.subject,
                    int(headers[Header.POSITION]),
                    int(headers[Header.PREVIOUS]),
                    headers[Header.MESSAGE_ID],
                    message.data,
                )
            )
            left -= 1
    await subscription.unsubscribe()
    return found


def decisions(incidents: Sequence[Logged], escalation: Sequence[Logged]) -> Decisions:
    acknowledged: dict[str, float] = {}
    for event in incidents:
        if event.type.endswith(".IncidentAcknowledged.v1"):
            envelope = json.loads(event.raw)
            acknowledged.setdefault(envelope["data"]["incidentId"], _seconds(envelope["time"]))
    due: dict[tuple[str, int], float] = {}
    for event in escalation:
        if event.type.endswith(".EscalationDue.v1"):
            envelope = json.loads(event.raw)
            due[envelope["data"]["incidentId"], envelope["data"]["level"]] = _seconds(envelope["time"])
    return Decisions(acknowledged, due)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


async def resolve_strangers(probe: Probe, api: AsyncPager, tag: str) -> None:
    """What is open and no alert of this run: it would escalate for ever."""
    for (incident,) in await probe.ask(_STRANGERS, tag) or ():
        await api.call("POST", f"/incidents/{incident}/resolve", {})


async def unrest(probe: Probe) -> tuple[tuple[int, ...], int] | None:
    """(where each log ends, what is due and not done); None while PostgreSQL is away."""
    ends = await probe.ask(_ENDS)
    due = await probe.ask(_DUE)
    return (tuple(ends[0]), int(due[0][0])) if ends and due else None


def failed_attempts(log: Sequence[Logged]) -> dict[str, int]:
    """How many, by vendor and reason, from the notifier's log."""
    facts = [json.loads(event.raw)["data"] for event in log if event.type.endswith("AttemptFailed.v1")]
    return dict(Counter(f"{fact['provider']}: {fact['reason']}" for fact in facts))


def by_lane(events: Sequence[Any]) -> dict[str, list[Any]]:
    """Log or stream, split by lane, each in its order."""
    lanes: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        lane = event.lane if isinstance(event, Logged) else event.subject.split(".")[3]
        if lane == "private":  # where such an event is published, not where it stands
            lane = json.loads(event.raw)["lane"]
        lanes[lane].append(event)
    return lanes
