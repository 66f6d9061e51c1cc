"""The admins are told of a restored log once, and in the end, whatever refuses the alarm meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from libs.chassis.bus.agreement import Odds
from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.wire import Outgoing
from libs.chassis.consume.epoch_alarm import AGAIN, EpochAlarm
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import in_time
from libs.contracts.model import Lane

ODDS = Odds(2, 10, {Lane.URGENT: Counter({"pager.incidents.IncidentCreated.v1": 3})})
MORE = Odds(2, 10, {Lane.URGENT: Counter({"pager.incidents.IncidentCreated.v1": 4})})


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
        self.told += [json.loads(message.body)["description"].split(".")[0] for message in messages]


@asynccontextmanager
async def _alarm(alerts: Alerts, clock: MovableClock) -> AsyncIterator[EpochAlarm]:
    alarm = EpochAlarm("incidents", cast("Bus", alerts), clock)
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
        assert alerts.told == [str(ODDS)]
        await alarm.tell(MORE)
        await alarm.tell(MORE)
        assert alerts.told == [str(ODDS), str(MORE)]
        clock.advance(minutes=AGAIN.total_seconds() / 60 - 1)
        await alarm.tell(MORE)
        assert len(alerts.told) == 2
        clock.advance(minutes=1)
        await alarm.tell(MORE)
        assert alerts.told[2:] == [str(MORE)]


async def test_an_alarm_that_is_refused_is_told_in_the_end_though_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.chassis.consume.epoch_alarm._PATIENCE", 0.0)
    monkeypatch.setattr("libs.chassis.consume.epoch_alarm._SOON", 0.001)
    monkeypatch.setattr("libs.chassis.consume.epoch_alarm._LATER", 0.002)
    alerts, later = Alerts(refusing=30), Odds(3, 7)
    async with _alarm(alerts, MovableClock()) as alarm:
        await alarm.tell(ODDS)
        await alarm.tell(MORE)
        await alarm.tell(later)  # restored once more meanwhile: each has lost something
        assert not alerts.told
        await alarm._paid.wait()
    assert (alerts.told, alerts.tried) == ([str(MORE), str(later)], 32)


async def test_pages_wait_for_a_refused_alarm_for_seconds_and_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.consume.epoch_alarm._PATIENCE", 0.01)
    monkeypatch.setattr("libs.chassis.consume.epoch_alarm._SOON", 3600.0)
    alerts = Alerts(refusing=1)
    async with _alarm(alerts, MovableClock()) as alarm:
        await alarm.tell(ODDS)
    assert (alerts.told, alerts.tried) == ([], 1)
