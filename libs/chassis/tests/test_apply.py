"""A batch takes effect as one; where it fails, what is at fault is set aside with its reason and the rest goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.consume.apply import Applier, Stopped
from libs.chassis.consume.item import Item
from libs.chassis.consume.parking import (
    Parked,
    ParkedKind,
    list_parked,
    load_parked,
    park,
    parked_ids,
    unpark,
    waits_behind,
)
from libs.chassis.store.cursors import Move, Overtaken, Position
from libs.chassis.store.work import Work
from libs.chassis.testing.clock import MovableClock
from libs.chassis.tests.ledger import SCHEMA, Ledger
from libs.chassis.timers import Timer, timer_set
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.incidents import AlertsGrouped, IncidentAcknowledged, PagingRequested
from libs.contracts.model import Lane
from libs.contracts.requests import ParkedView
from libs.contracts.tests.samples import sample

_UPSTREAM = "escalation"


@dataclass
class Lanes:
    """The lane `escalation.urgent` as this service takes it: a timer for each event, named by its position."""

    ledger: Ledger
    bad: set[int] = field(default_factory=set)
    """Positions on which the handler fails."""
    batches: list[list[int]] = field(default_factory=list)
    """What the handler was given, tries that failed included."""
    position: int = 0
    alarms: int = 0

    async def begin(self, **more: Any) -> Applier:
        made = Applier(SCHEMA, _UPSTREAM, Lane.URGENT, self.ledger.store, self._take, self._park, **more)
        await made.begin()
        return made

    def _park(self) -> None:
        self.alarms += 1

    def _take(self, work: Work, items: Sequence[Item]) -> None:
        self.batches.append([item.at.position for item in items])
        for item in items:
            event = item.event(work.codec)
            work.put(timer_set(SCHEMA, Timer(event.entity, str(item.at.position), MovableClock().now())))
            if item.at.position in self.bad:
                raise ZeroDivisionError("a fault of ours")

    def item(
        self, entity: UUID, fact: type[Fact] = AlertsGrouped, change: Callable[[dict[str, Any]], None] | None = None
    ) -> Item:
        """The lane's next event; `change`: what is otherwise in its JSON."""
        self.position += 1
        known: Envelope[Any] = sample(fact).model_copy(update={"entity": entity})
        body = json.loads(CODEC.encode(known))
        if change is not None:
            change(body)
        return Item(Position(1, self.position), body["type"], json.dumps(body).encode())

    def items(self, *entities: UUID) -> list[Item]:
        return [self.item(entity) for entity in entities]

    async def effects(self) -> list[int]:
        rows = await self.ledger.query("SELECT name FROM incidents.timers ORDER BY name::int")
        return [int(row[0]) for row in rows]

    async def parked(self) -> list[ParkedView]:
        return await self.ledger.store.read(lambda work: list_parked(work, SCHEMA))

    async def kinds(self) -> dict[int, str]:
        """What is parked, by position."""
        return {view.position: view.kind for view in await self.parked()}

    async def cursor(self) -> Position:
        return await self.ledger.store.position(_UPSTREAM, Lane.URGENT)


@pytest.fixture
def lanes(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Lanes:
    monkeypatch.setattr("libs.chassis.consume.apply._PAUSES", (0.0, 0.0, 0.0))
    return Lanes(ledger)


async def _apply(applier: Applier, *items: Item) -> None:
    await applier.apply(items, items[-1].at)


async def test_a_batch_is_one_transaction_and_moves_the_cursor_behind_it(lanes: Lanes) -> None:
    applier = await lanes.begin()
    await _apply(applier, *lanes.items(uuid4(), uuid4(), uuid4()))
    assert lanes.batches == [[1, 2, 3]]
    assert (await lanes.effects(), await lanes.cursor(), applier.at) == ([1, 2, 3], (1, 3, 0, ""), (1, 3, 0, ""))


async def test_a_batch_that_fails_is_taken_one_by_one_and_only_what_fails_alone_is_parked(lanes: Lanes) -> None:
    lanes.bad = {2}
    applier = await lanes.begin()
    await _apply(applier, *lanes.items(uuid4(), uuid4(), uuid4()))
    assert lanes.batches == [[1, 2, 3], [1], [2], [2], [2], [3]]
    (parked,) = await lanes.parked()
    assert (parked.kind, parked.position, parked.type) == ("failure", 2, AlertsGrouped.type)
    assert parked.reason == "ZeroDivisionError: a fault of ours"
    assert (await lanes.effects(), (await lanes.cursor()).position, lanes.alarms) == ([1, 3], 3, 1)


async def test_later_events_of_its_entity_wait_behind_it_also_after_a_restart_and_others_do_not(lanes: Lanes) -> None:
    lanes.bad, sick = {1}, uuid4()
    await _apply(await lanes.begin(), *lanes.items(sick, sick, uuid4()))
    await _apply(await lanes.begin(), *lanes.items(sick, uuid4()))
    assert await lanes.kinds() == {1: "failure", 2: "waiting", 4: "waiting"}
    assert await lanes.effects() == [3, 5]


async def test_what_stands_alone_never_waits_behind_a_parked_event_of_its_entity(lanes: Lanes) -> None:
    lanes.bad, sick = {1}, uuid4()
    applier = await lanes.begin()
    await _apply(applier, lanes.item(sick), lanes.item(sick, PagingRequested), lanes.item(sick))
    await _apply(applier, lanes.item(sick, IncidentAcknowledged), lanes.item(uuid4()))
    assert await lanes.kinds() == {1: "failure", 3: "waiting"}
    assert await lanes.effects() == [2, 4, 5]
    assert [4, 5] in lanes.batches, "nothing in that batch waits: it is taken as one"


async def test_what_stands_alone_is_replayed_although_an_earlier_event_of_its_entity_is_parked(lanes: Lanes) -> None:
    lanes.bad, sick = {1, 2}, uuid4()
    await _apply(await lanes.begin(), lanes.item(sick), lanes.item(sick, PagingRequested), lanes.item(sick))

    def waiting(work: Work) -> list[bool]:
        loaded = (load_parked(work, SCHEMA, i) for i in parked_ids(work, SCHEMA))
        return [waits_behind(work, SCHEMA, one) for one in loaded if one is not None]

    assert await lanes.ledger.store.read(waiting) == [False, False, True]


async def test_once_the_one_before_it_was_replayed_an_event_is_taken_and_not_parked(lanes: Lanes) -> None:
    lanes.bad, sick = {1}, uuid4()
    applier = await lanes.begin()
    await _apply(applier, *lanes.items(sick))
    (parked,) = await lanes.parked()
    await lanes.ledger.store.transact(lambda work: unpark(work, SCHEMA, parked.id))
    await _apply(applier, *lanes.items(sick, sick))
    assert (await lanes.parked(), await lanes.effects()) == ([], [2, 3])


def _type_of_tomorrow(body: dict[str, Any]) -> None:
    body["type"] = AlertsGrouped.type.replace(".v1", ".v9")


def _with(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.update(fields)


def _with_data(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["data"].update(fields)


@pytest.mark.parametrize(
    ("fact", "change", "reason"),
    [
        (AlertsGrouped, _type_of_tomorrow, "pager.incidents.AlertsGrouped.v9: this build does not know it"),
        (PagingRequested, _with_data(run=0), "pager.incidents.PagingRequested.v1: data.run: "),
        (AlertsGrouped, _with(slot=256), "pager.incidents.AlertsGrouped.v1: slot: "),
        (AlertsGrouped, _with(lane="hunter2"), "pager.incidents.AlertsGrouped.v1: lane: "),
        (AlertsGrouped, _with(data="hunter2"), "pager.incidents.AlertsGrouped.v1: data: "),
    ],
)
async def test_an_event_that_this_build_cannot_read_is_parked_by_its_name_and_the_rest_goes_on(
    lanes: Lanes, fact: type[Fact], change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    odd = uuid4()
    items = [lanes.item(uuid4()), lanes.item(odd, fact, change), lanes.item(uuid4()), lanes.item(odd)]
    await _apply(await lanes.begin(), *items)
    first, second = await lanes.parked()
    assert (first.kind, first.type, first.entity) == ("failure", items[1].type, str(odd))
    assert first.reason.startswith(f"Unreadable: {reason}")
    assert "hunter2" not in first.reason, "a reason is shown to more people than the event"
    assert first.raw.encode() == items[1].raw, "nothing of it is lost"
    assert (second.kind, second.position) == ("waiting", 4)
    assert lanes.batches.count([2]) == 1, "a second try reads the same bytes"
    assert await lanes.effects() == [1, 3]


async def test_bytes_that_are_no_event_at_all_stand_alone(lanes: Lanes) -> None:
    broken = lanes.item(uuid4())._replace(raw=b"{")
    await _apply(await lanes.begin(), broken, *lanes.items(uuid4()))
    (parked,) = await lanes.parked()
    assert parked.reason.startswith("Unreadable: pager.incidents.AlertsGrouped.v1: its bytes: Invalid JSON")
    assert (parked.entity, await lanes.effects()) == ("/1", [2])


async def test_five_different_ones_in_a_row_stop_it_before_the_fifth_and_a_success_between_them_counts_anew(
    lanes: Lanes,
) -> None:
    lanes.bad = {1, 2, 3, 5, 6, 7, 8, 9, 10}
    applier = await lanes.begin()
    with pytest.raises(Stopped, match=r"^5 different events in a row failed; the last: ZeroDivisionError$"):
        await _apply(applier, *lanes.items(*(uuid4() for _ in range(10))))
    assert set(await lanes.kinds()) == {1, 2, 3, 5, 6, 7, 8}
    assert (await lanes.cursor()).position == 8, "the fifth stays where it was"


async def test_alerts_are_parked_for_ever_and_never_stop(lanes: Lanes) -> None:
    lanes.bad = set(range(1, 9))
    await _apply(await lanes.begin(stop_after=None), *lanes.items(*(uuid4() for _ in range(8))))
    assert set(await lanes.kinds()) == lanes.bad
    assert (await lanes.cursor()).position == 8


async def test_a_rival_who_was_first_is_no_fault_of_the_input(lanes: Lanes) -> None:
    applier = await lanes.begin()
    rival = Move(_UPSTREAM, Lane.URGENT, await lanes.cursor(), Position(1, 1))
    await lanes.ledger.store.transact(lambda _work: None, rival)
    with pytest.raises(Overtaken):
        await _apply(applier, *lanes.items(uuid4(), uuid4()))
    assert (await lanes.parked(), await lanes.effects()) == ([], [])


async def test_what_is_not_for_us_moves_the_stored_cursor_with_the_next_effect_or_after_fifty_batches(
    lanes: Lanes,
) -> None:
    applier = await lanes.begin()
    for position in range(1, 50):
        await applier.apply([], Position(1, position))
    assert (applier.at.position, (await lanes.cursor()).position) == (49, 0)
    await applier.apply([], Position(1, 50))
    assert (await lanes.cursor()).position == 50
    lanes.position = 50
    await applier.apply([], Position(1, 51))
    lanes.position = 51
    await applier.apply(lanes.items(uuid4()), Position(1, 60))
    assert (applier.at.position, (await lanes.cursor()).position) == (60, 60)
    assert await lanes.effects() == [52]


async def test_a_reason_of_any_characters_is_written_down(lanes: Lanes) -> None:
    applier = await lanes.begin()

    def fail(_work: Work, _items: Sequence[Item]) -> None:
        raise ZeroDivisionError("it quotes \0 and \ud800")

    applier.take = fail
    await _apply(applier, *lanes.items(uuid4()))
    (parked,) = await lanes.parked()
    assert parked.reason == "ZeroDivisionError: it quotes \ufffd and ?"


async def test_nothing_waits_behind_what_a_sender_got_wrong(lanes: Lanes) -> None:
    entity = uuid4()
    mistake = Parked(ParkedKind.INPUT, _UPSTREAM, Lane.URGENT, 1, str(entity), "x", "no JSON", b"{", {})
    await lanes.ledger.store.transact(lambda work: park(work, SCHEMA, mistake))
    await _apply(await lanes.begin(), *lanes.items(entity))
    assert (await lanes.effects(), await lanes.kinds()) == ([1], {1: "input"})


async def test_a_parked_input_keeps_what_a_replay_needs(lanes: Lanes) -> None:
    lanes.bad = {7}
    alert = Item(Position(0, 7, 0, "stream"), "", b"db down", {"ce-id": "1"}, "pager.alerts.db")

    def fail(_work: Work, _items: Sequence[Item]) -> None:
        raise ZeroDivisionError

    applier = await lanes.begin(stop_after=None)
    applier.take = fail
    await _apply(applier, alert)

    def load(work: Work) -> Parked | None:
        return load_parked(work, SCHEMA, parked_ids(work, SCHEMA)[0])

    parked = await lanes.ledger.store.read(load)
    assert parked is not None
    assert (parked.type, parked.entity, parked.raw, dict(parked.headers)) == (
        "pager.alerts.db",
        "stream/7",
        b"db down",
        {"ce-id": "1"},
    )
