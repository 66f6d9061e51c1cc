"""The admins are told once, and in the end, whatever refuses the alarm meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.wire import Outgoing
from libs.chassis.consume.owed import AGAIN, Alarm, OwedAlarms
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import in_time

ODDS = Alarm("The log was restored", "epoch:2", "three events are lost")
MORE = ODDS._replace(description="four events are lost")


@dataclass
class Alerts:
    """A bus that refuses so many alarms; `told`: the descriptions of the others."""

    refusing: int = 0
    told: list[str] = field(default_factory=list)
    tried: int = 0

    async def until_connected(self) -> None:
        return

    async def publish_all(self, messages: Sequence[Outgoing], **_: Any) -> None:
        self.tried += 1
        if self.tried <= self.refusing:
            raise BusAway("ALERTS is full")
        self.told += [json.loads(message.body)["description"] for message in messages]


@asynccontextmanager
async def _alarm(alerts: Alerts, clock: MovableClock) -> AsyncIterator[OwedAlarms]:
    alarm = OwedAlarms("incidents", cast("Bus", alerts), clock)
    running = asyncio.create_task(alarm.run())
    try:
        async with in_time():
            yield alarm
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_what_is_so_is_said_once_again_when_it_changes_and_again_after_an_hour() -> None:
    alerts, clock = Alerts(), MovableClock()
    async with _alarm(alerts, clock) as alarm:
        for _ in range(20):
            await alarm.tell(ODDS)
        assert alerts.told == [ODDS.description]
        await alarm.tell(MORE)
        await alarm.tell(MORE)
        assert alerts.told == [ODDS.description, MORE.description]
        clock.advance(minutes=AGAIN.total_seconds() / 60 - 1)
        await alarm.tell(MORE)
        assert len(alerts.told) == 2
        clock.advance(minutes=1)
        await alarm.tell(MORE)
        assert alerts.told[2:] == [MORE.description]


async def test_an_alarm_that_is_refused_is_told_in_the_end_though_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.chassis.consume.owed._PATIENCE", 0.0)
    monkeypatch.setattr("libs.chassis.consume.owed._SOON", 0.001)
    monkeypatch.setattr("libs.chassis.consume.owed._LATER", 0.002)
    alerts, later = Alerts(refusing=30), Alarm("The log was restored", "epoch:3", "two events are lost")
    async with _alarm(alerts, MovableClock()) as alarm:
        await alarm.tell(ODDS)
        await alarm.tell(MORE)
        await alarm.tell(later)  # restored once more meanwhile: each has lost something
        assert not alerts.told
        await alarm._paid.wait()
    assert (alerts.told, alerts.tried) == ([MORE.description, later.description], 32)


async def test_pages_wait_for_a_refused_alarm_for_seconds_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.consume.owed._PATIENCE", 0.01)
    monkeypatch.setattr("libs.chassis.consume.owed._SOON", 3600.0)
    alerts = Alerts(refusing=1)
    async with _alarm(alerts, MovableClock()) as alarm:
        await alarm.tell(ODDS)
    assert (alerts.told, alerts.tried) == ([], 1)
