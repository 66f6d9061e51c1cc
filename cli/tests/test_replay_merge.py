"""The order of a replay: by time, causes first, nothing lost, and the same after an interruption."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.console.failure import Failure
from cli.replay.merge import START, WINDOW, Entry, Hole, Merge
from cli.replay.token import Token
from libs.chassis.rebuild.history import LogRow
from libs.chassis.testing.examples import examples

SECOND = 1_000_000


def row(
    position: int,
    at: int,
    *,
    id: UUID | None = None,  # noqa: A002 - an event's id
    cause: UUID | None = None,
    entity: UUID | None = None,
    hole: bool = False,
) -> LogRow:
    caused = f'"{cause}"' if cause else "null"
    raw = f'{{"id":"{id or uuid4()}","type":"x","causationId":{caused},"data":{{}}}}'.encode()
    return LogRow(position, (entity or uuid4()).bytes, "x", "urgent", at.to_bytes(8, "big", signed=True), raw, hole)


@dataclass
class Pages:
    """A source of prepared rows, some at a time."""

    rows: Sequence[LogRow]
    size: int = 3
    service: str = "any"
    _at: int = 0

    def page(self) -> Sequence[LogRow]:
        found = self.rows[self._at : self._at + self.size]
        self._at += len(found)
        return found


def merged(*sources: Sequence[LogRow], **more: object) -> list[Entry]:
    return [e for batch in Merge([Pages(s) for s in sources], **more) for e in batch]  # type: ignore[arg-type]


def places(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    return [(e.rank, e.position) for e in entries]


def test_events_come_by_time_and_ties_by_service_and_position() -> None:
    first = [row(1, 10), row(2, 30), row(3, 30)]
    second = [row(1, 20), row(2, 30)]
    assert places(merged(first, second)) == [(0, 1), (1, 1), (0, 2), (0, 3), (1, 2)]


def test_an_effect_waits_for_a_cause_whose_clock_is_ahead() -> None:
    cause = uuid4()
    effect = row(1, 1000, cause=cause)
    after_it = row(2, 1001)
    assert places(merged([effect, after_it], [row(1, 1500, id=cause)])) == [(0, 2), (1, 1), (0, 1)]


def test_what_waits_for_what_waits_comes_after_both_and_an_entity_keeps_its_order() -> None:
    first, second, entity = uuid4(), uuid4(), uuid4()
    rows = [row(1, 10, id=second, cause=first, entity=entity), row(2, 11, entity=entity), row(3, 12, cause=second)]
    assert places(merged(rows, [row(1, 40, id=first)])) == [(1, 1), (0, 1), (0, 2), (0, 3)]


def test_versions_of_an_entity_keep_their_order_whatever_the_clocks_say() -> None:
    entity = uuid4()
    assert places(merged([row(1, 50, entity=entity), row(2, 20, entity=entity), row(3, 30)])) == [
        (0, 3),
        (0, 1),
        (0, 2),
    ]


def test_a_cause_that_is_no_event_or_was_long_ago_holds_nothing_up() -> None:
    assert places(merged([row(1, 10, cause=uuid4()), row(2, 5)])) == [(0, 2), (0, 1)]


def test_events_that_wait_for_one_another_are_not_kept_back() -> None:
    one, other = uuid4(), uuid4()
    assert len(merged([row(1, 1, id=one, cause=other), row(2, 2, id=other, cause=one)])) == 2


def test_a_hole_stops_with_its_place() -> None:
    with pytest.raises(Hole, match="any lacks the event before position 2"):
        merged([row(1, 1), row(2, 2, hole=True)])


def story(seed: int) -> list[list[LogRow]]:
    """Three services whose clocks differ, and whose events cause one another."""
    rng = random.Random(seed)
    clocks = [rng.randrange(-WINDOW // 3, WINDOW // 3) for _ in range(3)]
    rows: list[list[LogRow]] = [[], [], []]
    known: list[UUID] = []
    now = 0
    for _ in range(rng.randrange(1, 120)):
        now += rng.choice((0, 1000, SECOND, 20 * SECOND))
        rank = rng.randrange(3)
        made = uuid4()
        cause = rng.choice(known[-6:]) if known and rng.random() < 0.7 else None
        at = now + clocks[rank] + rng.randrange(-2000, 2000)
        rows[rank].append(row(len(rows[rank]) + 1, at, id=made, cause=cause, entity=UUID(int=rng.randrange(5))))
        known.append(made)
    return rows


@settings(max_examples=examples(60))
@given(st.integers())
def test_every_event_comes_once_after_its_cause_and_after_what_was_before_it(seed: int) -> None:
    rows = story(seed)
    entries = merged(*rows)
    assert sorted(places(entries)) == sorted((r, x.position) for r, one in enumerate(rows) for x in one)
    ids = {x.raw[7:43] for one in rows for x in one}
    seen: set[bytes] = set()
    newest: dict[tuple[int, bytes], int] = {}
    for entry in entries:
        raw = entry.row.raw
        cause = raw[raw.find(b'"causationId":') + 15 :][:36]
        assert cause not in ids or cause in seen
        assert newest.get((entry.rank, entry.row.entity), 0) < entry.position
        newest[entry.rank, entry.row.entity] = entry.position
        seen.add(raw[7:43])


@settings(max_examples=examples(40))
@given(st.integers(), st.integers(min_value=0, max_value=30))
def test_going_on_from_a_token_gives_what_was_left(seed: int, batches: int) -> None:
    rows = story(seed)
    whole = places(merged(*rows))
    merge = Merge([Pages(one) for one in rows])
    before: list[Entry] = []
    for number, batch in enumerate(merge):
        before += batch
        if number == batches:
            break
    token = Token.parse(str(Token({}, merge.after, left=tuple(sorted(merge.waiting())))))
    assert token.key is not None or merge.after == START
    rest = merged(*rows, after=merge.after, left=frozenset(token.left)) if len(before) < len(whole) else []
    assert places(before) + places(rest) == whole


@pytest.mark.parametrize("text", ["", "nonsense", "e30", "eyJ2IjoyfQ", "ü"])
def test_what_is_no_token_says_so(text: str) -> None:
    with pytest.raises(Failure, match="--resume"):
        Token.parse(text)
