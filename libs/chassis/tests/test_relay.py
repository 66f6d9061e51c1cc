"""The stream is a copy of the log that repairs itself, whatever happens to it (promise 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from nats.js.client import JetStreamContext

from libs.chassis.bus.connection import Bus, BusAway, WrongSequence
from libs.chassis.bus.relay import Relay
from libs.chassis.bus.wire import Outgoing
from libs.chassis.store.log import EventLog, Run
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.tests.ledger import SCHEMA, Ledger, add, until
from libs.contracts.model import Lane
from libs.contracts.subjects import Header
from tests.servers import recreate

_STREAM = "INCIDENTS"


async def _operator(ledger: Ledger) -> JetStreamContext:
    return (await ledger.bus("operator")).client.jetstream()


async def _cut(bus: Bus) -> None:
    """The connection breaks; the client comes back by itself."""
    transport: Any = bus.client._transport
    transport.close()


async def _relay(ledger: Ledger) -> Relay:
    relay = Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock)
    ledger.store.listen(lambda written: relay.hand(written.runs))
    return relay


async def _published(js: JetStreamContext) -> list[tuple[int, str, int]]:
    """(position, lane, previous) of every message that the stream holds, in its order."""
    info = await js.stream_info(_STREAM)
    found = []
    for sequence in range(max(info.state.first_seq, 1), info.state.last_seq + 1):
        message = await js.get_msg(_STREAM, sequence)
        headers = message.headers or {}
        lane = (message.subject or "").split(".")[3]
        found.append((int(headers[Header.POSITION]), lane, int(headers[Header.PREVIOUS])))
    return found


async def _until_like_the_log(ledger: Ledger, js: JetStreamContext) -> list[tuple[int, str, int]]:
    """Returns when the stream holds each event once, each lane in order and chained; what it holds."""
    log = await ledger.events()

    async def look() -> list[tuple[int, str, int]]:
        return await _published(js)

    found = await until(look, lambda messages: len(messages) >= len(log), "the whole log in the stream")
    assert sorted((p, lane) for p, lane, _ in found) == sorted(log)
    for lane in Lane:
        chain = [(p, previous) for p, name, previous in found if name == lane]
        assert [previous for _, previous in chain] == [0, *(p for p, _ in chain)][: len(chain)]
    return found


async def _lose_the_tail(ledger: Ledger, js: JetStreamContext) -> None:
    """As a server that is killed before it has written: the last messages are gone, and so are their numbers."""
    info = await js.stream_info(_STREAM)
    kept = [await js.get_msg(_STREAM, s) for s in range(1, info.state.last_seq - 2)]
    await recreate(js, _STREAM)
    for message in kept:
        headers = {k: v for k, v in (message.headers or {}).items() if k != Header.EXPECTED_LAST_SEQUENCE}
        # Only the service itself may write its subjects.
        await (await ledger.bus()).js.publish(message.subject or "", message.data or b"", headers=headers)


@pytest.mark.parametrize("damage", ["tail", "everything", "purged"])
async def test_a_stream_that_lost_messages_is_filled_again_from_the_log(ledger: Ledger, damage: str) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    for number in range(12):
        await ledger.add(lane=Lane.URGENT if number % 3 else Lane.ROUTINE)
    running = ledger.run(relay.run)
    await _until_like_the_log(ledger, js)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    if damage == "tail":
        await _lose_the_tail(ledger, js)
    elif damage == "everything":
        await recreate(js, _STREAM)
    else:
        await js.purge_stream(_STREAM)
    ledger.run(relay.run)
    await ledger.add()
    await _until_like_the_log(ledger, js)


async def test_a_running_relay_notices_a_lost_tail_by_itself(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    ledger.run(relay.run)
    for _ in range(6):
        await ledger.add()
    await _until_like_the_log(ledger, js)
    await _lose_the_tail(ledger, js)
    await ledger.add()
    await _until_like_the_log(ledger, js)


async def test_events_too_old_for_the_stream_are_not_published_into_a_new_one(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    await ledger.add()
    ledger.clock.advance(minutes=31 * 24 * 60)
    newest = await ledger.add()
    ledger.run(relay.run)

    async def look() -> list[tuple[int, str, int]]:
        return await _published(js)

    found = await until(look, bool, "the newest event")
    assert [position for position, _, _ in found] == [newest], "older ones are read from the log (promise 5)"


async def test_a_relay_that_somebody_overtook_is_refused_and_publishes_nothing(ledger: Ledger) -> None:
    js, zombie = await _operator(ledger), await _relay(ledger)
    await ledger.add()
    await zombie._resume()
    await zombie._publish_some()
    # Its successor publishes the next event while it is frozen.
    await ledger.add()
    successor = Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock)
    await successor._resume()
    await successor._publish_some()
    with pytest.raises(WrongSequence):
        await zombie._publish_some()
    assert len(await _until_like_the_log(ledger, js)) == 2
    # Awake again, it starts from what the stream holds and goes on in step.
    await ledger.add()
    ledger.run(zombie.run)
    assert len(await _until_like_the_log(ledger, js)) == 3


async def test_urgent_events_overtake_a_backlog_of_routine_ones(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)

    def many(work: Work) -> None:
        for _ in range(1200):
            add(work, uuid4(), lane=Lane.ROUTINE)

    await ledger.store.transact(many)
    urgent = await ledger.add(lane=Lane.URGENT)
    await relay._resume()
    while await relay._publish_some():
        pass
    first = await js.get_msg(_STREAM, 1)
    assert (first.headers or {})[Header.POSITION] == str(urgent)
    assert (await js.stream_info(_STREAM)).state.messages == 1201


async def test_a_new_epoch_goes_on_after_the_position_at_which_it_began(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    positions = [await ledger.add() for _ in range(4)]
    await relay._resume()
    await relay._publish_some()
    # A restore lost the last two positions and began epoch 2 after the second; then the log went on.
    await ledger.query("DELETE FROM incidents.stored_events WHERE notification_id > %s", positions[1])
    await ledger.query("INSERT INTO incidents.epochs (epoch, after_position) VALUES (2, %s)", positions[1])
    later = await ledger.add()
    await relay._resume()
    await relay._publish_some()
    last = await js.get_last_msg(_STREAM, "pager.events.incidents.urgent.>")
    headers = last.headers or {}
    assert headers[Header.MESSAGE_ID] == f"incidents/2/{later}"
    assert headers[Header.PREVIOUS] == str(positions[1])


async def test_the_stored_bytes_are_the_published_bytes(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    await ledger.add()
    await relay._resume()
    await relay._publish_some()
    message = await js.get_msg(_STREAM, 1)

    def raw(log: EventLog, cursor: object) -> bytes:
        return log.read_lane(cursor, Lane.URGENT, 0, 1)[0].raw  # type: ignore[arg-type]

    assert message.data == await ledger.store.log_read(raw)
    headers = message.headers or {}
    assert headers["ce-type"] == "pager.incidents.AlertsGrouped.v1"
    assert headers["ce-specversion"] == "1.0"


async def test_a_connection_that_breaks_keeps_nobody_waiting_for_acknowledgements(ledger: Ledger) -> None:
    bus = await ledger.bus()
    sent, send_all = asyncio.Event(), bus.client.send_all

    async def send_into_the_void(messages: Iterable[tuple[Outgoing, str]]) -> None:
        await send_all((message, "") for message, _reply in messages)
        sent.set()

    bus.client.send_all = send_into_the_void  # type: ignore[method-assign]
    event = Outgoing("pager.events.incidents.urgent.AlertsGrouped.1", b"{}")
    publishing = asyncio.create_task(bus.publish_all([event], timeout=10 * DEADLINE))
    await sent.wait()
    await _cut(bus)
    with pytest.raises(BusAway):
        await asyncio.wait_for(publishing, DEADLINE)


async def test_a_relay_whose_connection_broke_goes_on_when_it_is_back(ledger: Ledger) -> None:
    js, bus = await _operator(ledger), await ledger.bus()
    relay = Relay(SCHEMA, ledger.store, bus, ledger.clock)
    ledger.store.listen(lambda written: relay.hand(written.runs))
    ledger.run(relay.run)
    await ledger.add()
    await _until_like_the_log(ledger, js)
    await _cut(bus)
    await ledger.add()
    await _until_like_the_log(ledger, js)


async def test_the_acknowledgement_of_the_last_message_vouches_for_those_before_it(ledger: Ledger) -> None:
    js, bus = await _operator(ledger), await ledger.bus()

    def batch(*expected: int) -> list[Outgoing]:
        headers = [f"{Header.EXPECTED_LAST_SEQUENCE}: {sequence}\r\n" for sequence in expected]
        return [Outgoing(f"pager.events.incidents.urgent.AlertsGrouped.{i}", b"{}", h) for i, h in enumerate(headers)]

    await bus.publish_all(batch(0, 1, 2), chained=True)
    assert (await js.stream_info(_STREAM)).state.last_seq == 3
    with pytest.raises(WrongSequence):
        await bus.publish_all(batch(3, 9, 5), chained=True)
    assert (await js.stream_info(_STREAM)).state.last_seq == 4, "the first is stored, the second refused, the third too"


async def test_after_a_failure_every_message_answers_for_itself(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    await ledger.add()
    asked: list[bool] = []
    publish_all = relay.bus.publish_all

    async def refused_once(messages: Sequence[Outgoing], *, chained: bool = False, timeout: float = 5.0) -> None:
        asked.append(chained)
        if len(asked) == 1:
            raise WrongSequence("somebody else has written")
        await publish_all(messages, chained=chained, timeout=timeout)

    relay.bus.publish_all = refused_once  # type: ignore[method-assign]
    ledger.run(relay.run)
    await _until_like_the_log(ledger, js)
    await ledger.add()
    assert len(await _until_like_the_log(ledger, js)) == 2
    assert asked == [True, False, True]


async def test_what_was_committed_here_is_not_read_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    ledger.run(relay.run)
    await ledger.add()
    await _until_like_the_log(ledger, js)
    monkeypatch.setattr("libs.chassis.bus.relay._NET", 60)
    await ledger.add()  # the look that goes on until then is the last one
    await _until_like_the_log(ledger, js)
    monkeypatch.setattr(EventLog, "read_lane", None)
    for number in range(20):
        await ledger.add(lane=Lane.URGENT if number % 3 else Lane.ROUTINE)
    await _until_like_the_log(ledger, js)


async def test_what_another_process_appended_in_between_is_read_from_the_log(ledger: Ledger) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    other = ledger.make_store(instance="b")
    ledger.run(relay.run)
    for number in range(30):
        lane = Lane.URGENT if number % 3 else Lane.ROUTINE
        await ledger.add(lane=lane)
        if number % 4 == 0:
            await other.transact(lambda work, lane=lane: add(work, uuid4(), 1, lane))  # type: ignore[misc]
    await ledger.add(lane=Lane.ROUTINE)
    await _until_like_the_log(ledger, js)


async def test_commits_may_be_handed_over_in_any_order_and_again(ledger: Ledger) -> None:
    js, runs = await _operator(ledger), list[Run]()
    ledger.store.listen(lambda written: runs.extend(written.runs))
    relay = Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock)
    ledger.run(relay.run)
    for number in range(20):
        await ledger.add(lane=Lane.URGENT if number % 3 else Lane.ROUTINE)
    for run in [*reversed(runs), *runs]:
        relay.hand([run])
        await asyncio.sleep(0)
    await _until_like_the_log(ledger, js)


async def test_more_than_can_wait_to_be_published_is_read_from_the_log(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.bus.handed._MOST", 4)
    monkeypatch.setattr("libs.chassis.bus.relay._BATCH", 3)
    js, relay = await _operator(ledger), await _relay(ledger)
    for _ in range(3):  # nobody takes them yet
        await ledger.add()

    def many(work: Work) -> None:
        for _ in range(8):
            add(work, uuid4())

    ledger.run(relay.run)
    await _until_like_the_log(ledger, js)
    for _ in range(3):
        await ledger.store.transact(many)
    await _until_like_the_log(ledger, js)
