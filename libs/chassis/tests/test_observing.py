"""What was decided is told once, after its commit, however often its handler ran; what is behind is read off a log."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from libs.chassis.measure.meters import meters
from libs.chassis.monitor.sampling import _relay
from libs.chassis.store.work import Decided, Work
from libs.chassis.tests.ledger import SCHEMA, Ledger, add
from libs.contracts.model import Lane


def _observed(ledger: Ledger) -> list[Sequence[Decided]]:
    told: list[Sequence[Decided]] = []
    ledger.store.observe(told.append)
    return told


def _conflicts() -> float:
    value = meters(SCHEMA).registry.get_sample_value("pager_append_conflicts_total")
    assert value is not None
    return value


async def test_a_handler_that_runs_twice_is_told_once_with_what_was_committed(ledger: Ledger) -> None:
    told, before, entity = _observed(ledger), _conflicts(), uuid4()
    rival, loop = ledger.make_store("b"), asyncio.get_running_loop()
    runs: list[int] = []

    def handler(work: Work) -> None:
        add(work, entity, 5)
        runs.append(work.version(entity))
        if len(runs) == 1:
            # Somebody else is first with this version.
            asyncio.run_coroutine_threadsafe(rival.transact(lambda other: add(other, entity)), loop).result(10)

    await ledger.store.transact(handler)
    assert runs == [1, 2]
    ((decided,),) = told
    assert (decided.event.version, decided.state) == (2, 6)
    assert _conflicts() - before == 1


async def test_what_is_rolled_back_and_what_decides_nothing_is_not_told(ledger: Ledger) -> None:
    told = _observed(ledger)

    def failing(work: Work) -> None:
        add(work, uuid4())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await ledger.store.transact(failing)
    await ledger.store.transact(lambda work: None)
    assert told == []


async def test_events_that_are_not_published_are_counted_with_the_age_of_the_oldest(ledger: Ledger) -> None:
    published = await ledger.add()
    ledger.clock.advance(seconds=10)
    await ledger.add()
    await ledger.add()
    routine = await ledger.add(lane=Lane.ROUTINE)
    ledger.clock.advance(seconds=30)
    places = {Lane.URGENT: published, Lane.ROUTINE: routine}
    readings = await ledger.store.read(lambda work: list(_relay(SCHEMA, work, places)))
    assert {(r.name, r.labels["lane"]): r.value for r in readings} == {
        ("pager_relay_lag", "urgent"): 2,
        ("pager_relay_age_seconds", "urgent"): 30,
        ("pager_relay_lag", "routine"): 0,
        ("pager_relay_age_seconds", "routine"): 0,
    }
