"""Pager pages its admins about itself: its alarms are alerts, on a subject that only our services may use."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.wire import Outgoing
from libs.chassis.clock import Clock
from libs.chassis.consume.parking import alarmed, without_alarm
from libs.chassis.fault import fault_in
from libs.chassis.store.store import Store, is_away
from libs.contracts.alerts import source_of
from libs.contracts.model import Priority
from libs.contracts.requests import ParkedView
from libs.contracts.subjects import ALERTS, OWN_SOURCE, alert_subject

_log = structlog.get_logger()
_SELDOM = timedelta(minutes=1)
"""Between two alarms about the same fault: what is parked meanwhile shares the second one."""
_AGAIN = 1.0
_REMIND = timedelta(hours=1)


async def raise_alarm(bus: Bus, summary: str, dedup_key: str, description: str) -> None:
    """Page the people of the policy "Admins"; the same `dedup_key` folds into one incident.

    Raises:
        BusAway: it was not accepted; try again.
    """
    body = {"summary": summary, "priority": "critical", "dedupKey": dedup_key, "description": description}
    subject = alert_subject(OWN_SOURCE, Priority.CRITICAL)
    await bus.publish_all([Outgoing(subject, json.dumps(body).encode())])


@dataclass
class Reminders:
    """When an alarm is due about what lasts: at once, and once an hour for as long as it does."""

    clock: Clock
    _told: dict[str, datetime] = field(default_factory=dict)

    def due(self, lasting: Collection[str]) -> list[str]:
        """Of all that is so now; what has ended is due at once when it comes again."""
        self._told = {what: at for what, at in self._told.items() if what in lasting}
        now = self.clock.now()
        return [what for what in lasting if what not in self._told or now - self._told[what] >= _REMIND]

    def told(self, what: str) -> None:
        """The alarm was accepted."""
        self._told[what] = self.clock.now()


@dataclass
class ParkedAlarms:
    """Pages the admins about what a service failed on, also about what was parked before a crash.

    An alarm is itself an alert that may fail, and its incident consists of events that may: such a loop ends at once,
    because an alarm's key names the fault and not the event. What the same fault parks next, the alarm's own events
    included, is grouped into the incident that is open. Before there is an incident, in the intake of alerts, nothing
    is grouped: no alarm is raised about a parked alarm.
    """

    service: str
    store: Store
    bus: Bus
    clock: Clock
    parked: asyncio.Event
    """Set when something was parked for a failure."""
    _raised: dict[str, datetime] = field(default_factory=dict)

    async def run(self) -> None:
        """For ever, in the active replica."""
        while True:
            try:
                self.parked.clear()
                await self._sleep(await self._report())
            except Exception as error:
                if not (isinstance(error, BusAway) or is_away(error)):
                    raise
                await asyncio.sleep(_AGAIN)

    async def _report(self) -> datetime | None:
        """Raise what is due, one alarm a fault; returns when the next is."""
        faults: dict[str, list[ParkedView]] = {}
        for view in await self.store.read(lambda work: without_alarm(work, self.service)):
            faults.setdefault(self._key(view), []).append(view)
        now = self.clock.now()
        due = {key: self._raised[key] + _SELDOM if key in self._raised else now for key in faults}
        for key, views in faults.items():
            if due[key] <= now:
                await self._raise(key, views)
                self._raised[key] = now
        return min((moment for moment in due.values() if moment > now), default=None)

    def _key(self, view: ParkedView) -> str:
        """The same fault: the same kind of input, failing with the same type of error."""
        kind = view.upstream if view.upstream == ALERTS else view.type
        return f"parked:{self.service}:{kind}:{fault_in(view.reason)}"

    async def _raise(self, key: str, views: Sequence[ParkedView]) -> None:
        """One alarm for them all; the first says what is wrong."""
        told = [view for view in views if not _is_alarm(view)]
        for view in views:
            if _is_alarm(view):
                _log.error("an alarm of ours was parked: nobody is paged about it", service=self.service, id=view.id)
        if told:
            first, more = told[0], len(told) - 1
            where = f"{first.type} at position {first.position} of {first.upstream}.{first.lane}"
            await raise_alarm(
                self.bus,
                f"{self.service} could not handle an event of {first.upstream}",
                key,
                f"{where}: {fault_in(first.reason)}{f' (and {more} more)' if more else ''}."
                " What it says is kept beside it: pager parked list",
            )

        await self.store.transact(lambda work: alarmed(work, self.service, [view.id for view in views], work.now))

    async def _sleep(self, until: datetime | None) -> None:
        waits: list[asyncio.Task[object]] = [asyncio.create_task(self.parked.wait())]
        if until is not None:
            waits.append(asyncio.create_task(self.clock.wait_until(until)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()


def _is_alarm(view: ParkedView) -> bool:
    return view.upstream == ALERTS and source_of(view.type) == OWN_SOURCE
