"""When has everything come to rest? Logs relayed and read to their ends, nothing due, nothing to send."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from nats.js.errors import NotFoundError
from sqlalchemy import text

from libs.chassis.consume.follower import Follower
from libs.chassis.parts import PersonsKeys
from libs.chassis.service import Service
from libs.chassis.store.log import EventLog
from libs.contracts.subjects import ALERTS, lanes_of
from services.incidents.alerts.stream import READ
from services.notifier.main import Sending

if TYPE_CHECKING:
    from tests.world import World


def intakes(incidents: Service) -> list[Any]:
    """The two readers of ALERTS of the service incidents."""
    return [reader for reader in incidents.readers if reader.upstream == ALERTS]


async def restlessness(world: World) -> tuple[dict[str, int], list[str]]:
    """(the end of every lane, what is still to be done)."""
    ends: dict[str, int] = {}
    todo: list[str] = []
    for name, service in world.services.items():
        ends |= await service.runtime.work.log_read(partial(_ends, name))
    for name, service in world.services.items():
        todo += [f"{name} is not active"] if not service.leader.active else []
        for reader in service.readers:
            end = ends.get(f"{reader.upstream}.{reader.lane}", 0)
            if isinstance(reader, Follower) and reader.consumer.sparse:
                upstream = world.services.get(reader.upstream)  # another process, in some tests
                end = await _last_wanted(upstream, reader) if upstream is not None else 0
            todo += [f"{name} reads {reader.upstream}"] if reader.at.position < end else []
        todo += await _due(world, name, service)
    return ends, todo + await _unread_alerts(world)


def _ends(name: str, log: EventLog, cursor: Any) -> dict[str, int]:
    """In one transaction: whoever waits for rest asks again and again."""
    return {f"{name}.{lane}": log.last_position(cursor, lane) for lane in lanes_of(name)}


async def _last_wanted(upstream: Service, reader: Follower) -> int:
    """The position of the last event that it gets of its lane; the others never reach it."""
    names = {fact.type for fact in reader.consumer.facts}
    events = await upstream.runtime.work.log_read(lambda log, cursor: log.read_lane(cursor, reader.lane, 0, 10_000))
    return max((event.position for event in events if event.type in names), default=0)


async def _unread_alerts(world: World) -> list[str]:
    if "incidents" not in world.services:
        return []
    unread = []
    for intake in intakes(world.services["incidents"]):
        ends = [await _last_alert(world, subject) for subject in READ[intake.lane]]
        unread += [f"incidents reads alerts ({intake.lane})"] if intake.at.position < max(ends) else []
    return unread


async def _last_alert(world: World, subject: str) -> int:
    try:
        return (await world.operator.jetstream().get_last_msg(ALERTS, subject)).seq or 0
    except NotFoundError:
        return 0


async def _due(world: World, name: str, service: Service) -> list[str]:
    now = world.clock.now()
    timers = text(f"SELECT 1 FROM {name}.timers WHERE due_at <= :moment LIMIT 1")  # noqa: S608
    found = ["timers"] if await service.runtime.work.read(lambda work: work.fetch(timers, moment=now)) else []
    if name == "notifier" and await _to_send(service, now):
        found.append("outbox")
    fetched = [engine.fetched for engine in service.parts.engines if isinstance(engine, PersonsKeys)]
    found += ["keys"] if any(keys.is_asking for keys in fetched) else []
    return [f"{name}.{table} is due" for table in found]


async def _to_send(notifier: Service, now: datetime) -> bool:
    """Whether a page is due that does not wait for its vendor's next probe, or for its own next try."""
    due = text("SELECT notification_id, provider FROM notifier.outbox WHERE due_at <= :moment")
    engine = next(e for e in notifier.parts.engines if isinstance(e, Sending))
    rows = await notifier.runtime.work.read(lambda work: work.fetch(due, moment=now))
    probes = {name: provider.breaker.retry_at for name, provider in engine.sender.providers.items()}
    away = {name for name, at in probes.items() if at is not None and at > now}
    resting = {one for one, (_, until) in engine.sender.places.resting.items() if until > now}
    return any(row["provider"] not in away and row["notification_id"] not in resting for row in rows)
