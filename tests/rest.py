"""When has everything come to rest? Logs relayed and read to their ends, nothing due, nothing to send."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from nats.js.errors import NotFoundError
from sqlalchemy import TextClause, text

from libs.chassis.consume.follower import Follower
from libs.chassis.parts import PersonsKeys
from libs.chassis.service import Service
from libs.chassis.store.log import EventLog
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS, lanes_of
from services.incidents.alerts.stream import READ
from services.notifier.main import Sending

if TYPE_CHECKING:
    from tests.world import World

_OUTBOX = text("SELECT notification_id, provider FROM notifier.outbox WHERE due_at <= :moment")


def intakes(incidents: Service) -> list[Any]:
    """The two readers of ALERTS of the service incidents."""
    return [reader for reader in incidents.readers if reader.upstream == ALERTS]


async def restlessness(world: World) -> tuple[dict[str, int], list[str]]:
    """(the end of every lane, what is still to be done)."""
    # Whoever waits for rest asks again and again: all services are asked at once, each in one transaction.
    now, services = world.clock.now(), world.services.copy()
    looks = (service.runtime.work.read(partial(_look, name, now)) for name, service in services.items())
    found = dict(zip(services, await asyncio.gather(*looks), strict=True))
    ends = {f"{name}.{lane}": end for name, look in found.items() for lane, end in look.ends.items()}
    todo: list[str] = []
    for name, service in services.items():
        for task in service._tasks:
            if task.done() and not task.cancelled():
                task.result()  # it runs for ever but for a fault, of which nobody else would hear here
        todo += [f"{name} is not active"] if not service.leader.active else []
        for reader in service.readers:
            end = ends.get(f"{reader.upstream}.{reader.lane}", 0)
            if isinstance(reader, Follower) and reader.consumer.sparse:
                upstream = services.get(reader.upstream)  # another process, in some tests
                end = await _last_wanted(upstream, reader) if upstream is not None and reader.at.position < end else 0
            todo += [f"{name} reads {reader.upstream}"] if reader.at.position < end else []
        todo += [f"{name}.{table} is due" for table in _due(name, service, found[name], now)]
    return ends, todo + await _unread_alerts(world)


class _Look(NamedTuple):
    """What one service's tables say at one moment."""

    ends: dict[Lane, int]
    timers: bool
    outbox: list[dict[str, Any]]


@cache
def _timers(name: str) -> TextClause:
    return text(f"SELECT 1 FROM {name}.timers WHERE due_at <= :moment LIMIT 1")  # noqa: S608 - a name of ours


def _look(name: str, now: datetime, work: Work) -> _Look:
    log = cast("EventLog", work.log)
    ends = {lane: log.last_position(work.cursor, lane) for lane in lanes_of(name)}
    timers = bool(work.fetch(_timers(name), moment=now))
    return _Look(ends, timers, work.fetch(_OUTBOX, moment=now) if name == "notifier" else [])


async def _last_wanted(upstream: Service, reader: Follower) -> int:
    """The position of the last event that it gets of its lane; the others never reach it."""
    names = {fact.type for fact in reader.consumer.facts}
    events = await upstream.runtime.work.log_read(lambda log, cursor: log.read_lane(cursor, reader.lane, 0, 10_000))
    return max((event.position for event in events if event.type in names), default=0)


async def _unread_alerts(world: World) -> list[str]:
    if "incidents" not in world.services:
        return []
    readers = intakes(world.services["incidents"])
    ends = iter(await asyncio.gather(*(_last_alert(world, one) for reader in readers for one in READ[reader.lane])))
    last = {reader.lane: max([next(ends) for _ in READ[reader.lane]]) for reader in readers}
    return [f"incidents reads alerts ({one.lane})" for one in readers if one.at.position < last[one.lane]]


async def _last_alert(world: World, subject: str) -> int:
    try:
        return (await world.operator.jetstream().get_last_msg(ALERTS, subject)).seq or 0
    except NotFoundError:
        return 0


def _due(name: str, service: Service, look: _Look, now: datetime) -> list[str]:
    found = ["timers"] if look.timers else []
    if name == "notifier" and _to_send(service, look.outbox, now):
        found.append("outbox")
    fetched = [engine.fetched for engine in service.parts.engines if isinstance(engine, PersonsKeys)]
    return found + (["keys"] if any(keys.is_asking for keys in fetched) else [])


def _to_send(notifier: Service, rows: list[dict[str, Any]], now: datetime) -> bool:
    """Whether a page is due that does not wait for its vendor's next probe, or for its own next try."""
    engine = next(e for e in notifier.parts.engines if isinstance(e, Sending))
    probes = {name: provider.retry_at for name, provider in engine.sender.providers.items()}
    away = {name for name, at in probes.items() if at is not None and at > now}
    resting = {one for one, (_, until) in engine.sender.places.resting.items() if until > now}
    return any(row["provider"] not in away and row["notification_id"] not in resting for row in rows)
