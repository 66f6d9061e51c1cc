"""When has everything come to rest? Logs relayed and read to their ends, nothing due, nothing to send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nats.js.errors import NotFoundError
from sqlalchemy import text

from libs.chassis.service import Service
from libs.chassis.store.log import EventLog
from libs.contracts.subjects import ALERTS, lanes_of
from services.incidents.intake import READ

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
        for lane in lanes_of(name):
            ends[f"{name}.{lane}"] = await service.runtime.work.log_read(
                lambda log, cursor, lane=lane: EventLog.last_position(log, cursor, lane)  # type: ignore[misc]
            )
    for name, service in world.services.items():
        todo += [f"{name} is not active"] if not service.leader.active else []
        for reader in service.readers:
            end = ends.get(f"{reader.upstream}.{reader.lane}", 0)
            todo += [f"{name} reads {reader.upstream}"] if reader.at.position < end else []
        todo += await _due(world, name, service)
    return ends, todo + await _unread_alerts(world)


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
    tables = ["timers", "outbox"] if name == "notifier" else ["timers"]
    found = []
    for table in tables:
        statement = text(f"SELECT 1 FROM {name}.{table} WHERE due_at <= :moment LIMIT 1")  # noqa: S608
        moment = world.clock.now()
        if await service.runtime.work.read(lambda work, s=statement, m=moment: work.fetch(s, moment=m)):  # type: ignore[misc]
            found.append(f"{name}.{table} is due")
    return found
