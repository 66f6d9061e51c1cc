"""Every event of an upstream takes effect once and in order, whatever its stream has lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from libs.chassis.bus.pull import Pull
from libs.chassis.consume import follower as follower_module
from libs.chassis.consume.follower import _FEW, _PATIENCE, Consumer, Follower
from libs.chassis.store.cursors import Position
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.chassis.tests.ledger import Ledger, until
from libs.contracts.envelope import Envelope
from libs.contracts.incidents import AlertsGrouped
from libs.contracts.model import Lane
from tests.servers import recreate

_STREAM = "INCIDENTS"


def _take(work: Work, events: Sequence[Envelope[AlertsGrouped]]) -> None:
    for event in events:
        work.cursor.execute("INSERT INTO escalation.effects (n) VALUES (%s)", (event.data.count,))


@dataclass
class Pair:
    """The upstream `incidents` with relay and requests, and the table in which `escalation` writes what it took."""

    ledger: Ledger
    js: JetStreamContext
    relaying: asyncio.Task[None]
    added: int = 0
    followers: list[Follower] = field(default_factory=list)

    async def add(self, count: int = 1) -> None:
        """Events that carry the numbers 1, 2, 3 … of their order."""
        for _ in range(count):
            self.added += 1
            await self.ledger.add(self.added)
        last = (await self.ledger.events())[-1][0]

        async def newest() -> str:
            try:
                message = await self.js.get_last_msg(_STREAM, "pager.events.incidents.urgent.>")
            except NotFoundError:
                return "0"
            return str((message.headers or {})["Pager-Position"])

        await until(newest, lambda position: position == str(last), "the newest event in the stream")

    async def follow(
        self,
        handle: Callable[..., None] = _take,
        instance: str = "a",
        pressing: Callable[[], bool] | None = None,
    ) -> asyncio.Task[None]:
        """`pressing`: follow patiently, and let go first what it tells of."""
        store = Store(
            self.ledger.url("escalation"),
            "escalation",
            clock=self.ledger.clock,
            projector=lambda _event, _state: (),
            instance=instance,
            role="work",
        )
        self.ledger._stack.callback(store.close)
        consumer = Consumer("incidents", (AlertsGrouped,), handle, patient=pressing is not None)
        bus = await self.ledger.bus("escalation")
        follower = Follower("escalation", consumer, Lane.URGENT, store, bus, is_pressed=pressing or (lambda: False))
        self.followers.append(follower)
        return self.ledger.run(follower.run)

    async def effects(self) -> list[int]:
        return [row[0] for row in await self.ledger.query("SELECT n FROM escalation.effects ORDER BY id")]

    async def expect_all_once(self) -> None:
        expected = list(range(1, self.added + 1))
        assert await until(self.effects, lambda found: len(found) >= self.added, "every effect") == expected


async def _stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def pair(ledger: Ledger) -> Pair:
    await ledger.query("CREATE TABLE escalation.effects (id bigserial PRIMARY KEY, n int)")
    await ledger.query("GRANT ALL ON escalation.effects, escalation.effects_id_seq TO pager_escalation")
    await ledger.answer()
    js = (await ledger.bus("operator")).client.jetstream()
    return Pair(ledger, js, await ledger.relay())


async def test_a_restart_goes_on_behind_what_has_taken_effect(pair: Pair) -> None:
    await pair.add(3)
    for _restart in range(3):
        running = await pair.follow()
        await pair.add(2)
        await pair.expect_all_once()
        await _stopped(running)
        await pair.add(2)
    await pair.follow()
    await pair.expect_all_once()
    await pair.followers[-1].caught_up.wait()
    await pair.followers[-1].read_to_end()


async def test_messages_that_the_stream_lost_are_read_from_the_owners_log(pair: Pair) -> None:
    await pair.add(10)
    for sequence in (1, 2, 5, 6, 7):
        await pair.js.delete_msg(_STREAM, sequence)
    running = await pair.follow()
    await pair.expect_all_once()
    await _stopped(running)
    # While nobody read: the message at the cursor, the one behind it, and the newest.
    await pair.add(6)
    for sequence in (10, 11, 13):
        await pair.js.delete_msg(_STREAM, sequence)
    await pair.follow()
    await pair.expect_all_once()
    await pair.add(2)
    await pair.expect_all_once()


async def test_a_purged_and_a_recreated_stream_cost_nothing(pair: Pair) -> None:
    await pair.add(4)
    running = await pair.follow()
    await pair.expect_all_once()
    await _stopped(running)
    await pair.add(3)
    await pair.js.purge_stream(_STREAM)
    await pair.follow()
    await pair.expect_all_once()
    # And under a reader that is running.
    await recreate(pair.js, _STREAM)
    await pair.add(3)
    await pair.expect_all_once()


async def test_a_new_epoch_is_followed_from_where_it_began(pair: Pair) -> None:
    await pair.add(4)
    running = await pair.follow()
    await pair.expect_all_once()
    await _stopped(running)
    # A restore lost the last event and began a new epoch; the effect of what was lost stays.
    positions = [position for position, _ in await pair.ledger.events()]
    await pair.ledger.begin_epoch(2, positions[2])
    await _stopped(pair.relaying)
    pair.relaying = await pair.ledger.relay()
    await pair.add(2)
    await pair.follow()
    await pair.expect_all_once()
    assert pair.followers[-1].at.epoch == 2


async def test_two_that_follow_at_once_still_take_everything_once_and_in_order(pair: Pair) -> None:
    await pair.follow(instance="a")
    await pair.follow(instance="b")
    for _batch in range(5):
        await pair.add(5)
    await pair.expect_all_once()


async def test_a_crash_between_effect_and_cursor_cannot_be(pair: Pair) -> None:
    calls = 0

    def fails_after_its_effect(work: Work, events: Sequence[Any]) -> None:
        nonlocal calls
        calls += 1
        _take(work, events)
        if calls <= 2:
            raise ConnectionError("the process is as good as dead")

    await pair.add(5)
    await pair.follow(fails_after_its_effect)
    await pair.expect_all_once()
    assert calls > 2


async def test_the_cursor_in_the_database_says_how_far_it_is(pair: Pair) -> None:
    await pair.add(3)
    await pair.follow()
    await pair.expect_all_once()
    await pair.followers[-1].caught_up.wait()
    await pair.add(1)
    await pair.expect_all_once()
    last = (await pair.ledger.events())[-1][0]

    async def cursor() -> list[Any]:
        return await pair.ledger.query(
            "SELECT epoch, position, sequence FROM escalation.cursors WHERE upstream = 'incidents' AND lane = 'urgent'"
        )

    assert await cursor() == [(1, last, 4)]
    at = pair.followers[-1].at
    assert (at.epoch, at.position, at.sequence) == (1, last, 4)
    assert pair.followers[-1].lag == 0


async def test_the_end_is_reached_in_its_own_epoch_and_in_any_where_that_is_not_known(pair: Pair) -> None:
    await _stopped(await pair.follow())
    follower = pair.followers[0]
    follower._applier.at = Position(1, 9)
    reached = [follower._has_reached(*end) for end in ((1, 9), (None, 9), (1, 10), (None, 10), (2, 5))]
    assert reached == [True, True, False, False, False]


async def test_a_patient_consumer_lets_pressing_work_go_first(pair: Pair) -> None:
    pressing = False
    await pair.follow(pressing=lambda: pressing)
    await pair.followers[0].caught_up.wait()
    await pair.add()
    await pair.expect_all_once()
    pressing = True
    await pair.add(3)
    follower = pair.followers[0]

    async def waiting() -> int:
        return follower.lag

    await until(waiting, lambda count: count == 3, "three events that wait")
    assert await pair.effects() == [1]
    pressing = False
    await pair.expect_all_once()


async def test_patience_ends(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    age, looks = 0.0, 0

    def oldest_waits(_pull: Pull) -> float:
        nonlocal looks
        looks += 1
        return age

    async def looked() -> int:
        return looks

    monkeypatch.setattr(Pull, "oldest_waits", oldest_waits)
    await pair.follow(pressing=lambda: True)
    await pair.followers[0].caught_up.wait()
    await pair.add(3)
    await until(looked, lambda count: count > 3, "it waits")
    age, young = _PATIENCE - 0.01, looks
    await until(looked, lambda count: count > young + 3, "it still waits")
    assert await pair.effects() == []
    age = _PATIENCE
    await pair.expect_all_once()


@pytest.fixture
def small_storm(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Three events are a storm; call it with how many more the stream has at each look."""
    monkeypatch.setattr(follower_module, "_STORM", 2)
    monkeypatch.setattr(follower_module, "_LOOK", 0.04)
    monkeypatch.setattr(Pull, "oldest_waits", lambda _pull: 0.0)
    newest, more = 0, 0

    async def look(_pull: Pull) -> int:
        nonlocal newest
        newest += more
        return newest

    def grow(by: int) -> None:
        nonlocal more
        more = by

    monkeypatch.setattr(Pull, "newest", look)
    return grow


async def _in_storm(pair: Pair) -> Follower:
    """A patient one for which five events wait in the stream; what it did not know yet it would read from the log."""
    first = await pair.follow(pressing=lambda: False)
    await pair.followers[-1].caught_up.wait()
    await pair.add()
    await pair.expect_all_once()
    await _stopped(first)
    await pair.add(5)
    await pair.follow(pressing=lambda: False)
    return pair.followers[-1]


async def test_books_wait_while_a_storm_grows_and_no_longer(pair: Pair, small_storm: Callable[[int], None]) -> None:
    small_storm(_FEW + 1)
    follower = await _in_storm(pair)

    async def looks() -> float:
        return follower._looked_at

    seen = await until(looks, lambda at: at > 0, "it has looked")
    await until(looks, lambda at: at > seen + 3 * 0.04, "it has looked again and again")
    assert (await pair.effects(), follower._in_storm) == ([1], True)
    small_storm(_FEW)
    await pair.expect_all_once()
    assert not follower.pressing


async def test_what_the_server_said_long_ago_holds_nobody_back(
    pair: Pair, small_storm: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    small_storm(_FEW + 1)
    follower = await _in_storm(pair)

    async def pressing() -> bool:
        return follower.pressing

    await until(pressing, bool, "it holds back")
    monkeypatch.setattr(follower_module, "monotonic", lambda: follower._looked_at + 1)
    assert not follower.pressing


async def test_a_look_that_nobody_answers_begins_again(
    pair: Pair, small_storm: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = 2

    async def look(_pull: Pull) -> int:
        nonlocal silent
        if silent:
            silent -= 1
            raise TimeoutError
        return 0

    monkeypatch.setattr(Pull, "newest", look)
    await _in_storm(pair)
    await pair.expect_all_once()
    assert silent == 0


async def test_how_far_a_stream_goes_is_asked_of_the_server(pair: Pair) -> None:
    await pair.add(3)
    async with Pull(await pair.ledger.bus("escalation"), "INCIDENTS", ("pager.events.incidents.urgent.>",), 1) as pull:
        assert await pull.newest() == 3


async def test_a_patient_consumer_whose_connection_breaks_in_a_storm_begins_again(pair: Pair) -> None:
    loop, broken = asyncio.get_running_loop(), False

    async def break_now(pull: Pull) -> None:
        assert pull._subscription is not None
        await pull._subscription.unsubscribe()
        pull._pending = 5000  # the last that it heard of the server, and it would wait for these
        pull._break("the connection broke")

    def breaks_behind_it(work: Work, events: Sequence[Any]) -> None:
        nonlocal broken
        _take(work, events)
        pull = pair.followers[0]._feed._pull
        if not broken and pull is not None:
            broken = True
            asyncio.run_coroutine_threadsafe(break_now(pull), loop).result()

    await pair.follow(breaks_behind_it, pressing=lambda: False)
    await pair.followers[0].caught_up.wait()
    await pair.add()
    await pair.add(2)
    await pair.expect_all_once()
    assert broken
