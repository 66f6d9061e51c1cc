"""Rows by primary key: set, amended, removed; of several changes to one in a commit only their sum is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import ARRAY, Column, Integer, MetaData, Table, Text, text

from libs.chassis.store.changes import Added, Change, Cleared, Gone, NewestPatch, Patch, Row, Tally
from libs.chassis.store.desk import Desk
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.chassis.tests.ledger import SCHEMA, Ledger

ANSWERS = chassis_tables(SCHEMA).answers
KEY = {"actor": "bo", "operation": "create", "key": "k"}
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
WHOLE = KEY | {"body_hash": b"\x00h", "answer": b"first", "answered_at": NOON}


async def write(ledger: Ledger, *changes: Change) -> list[Any]:
    """The table after one commit of these."""
    await ledger.store.transact(lambda work: work.put(*changes))
    return await ledger.query("SELECT answer, body_hash, answered_at FROM incidents.answers")


async def test_a_patch_changes_only_what_it_names(ledger: Ledger) -> None:
    await write(ledger, Row(ANSWERS, WHOLE))
    later = NOON + timedelta(hours=1)
    assert await write(ledger, Patch(ANSWERS, KEY | {"answered_at": later})) == [(b"first", b"\x00h", later)]
    assert await write(ledger, Patch(ANSWERS, KEY | {"answer": b"\xff"})) == [(b"\xff", b"\x00h", later)]


async def test_a_patch_of_nothing_is_nothing(ledger: Ledger) -> None:
    assert await write(ledger, Patch(ANSWERS, KEY | {"answer": b"x"})) == []


PARKED = chassis_tables(SCHEMA).parked


async def test_a_document_and_what_stands_beside_it_are_kept_as_they_are(ledger: Ledger) -> None:
    document = {
        "text": 'an "é" \\ 🔔',
        "none": None,
        "deep": [{"n": 2**60, "f": 0.1, "tiny": 5e-324}, [], {}],
        "yes": True,
    }
    row = {"id": 2**40, "kind": "input", "upstream": "ALERTS", "lane": "urgent", "position": 7, "entity": "shop/7"}
    row |= {"type": "a.b", "reason": 'say "no"\n', "raw": b"\x00\xff{", "headers": document, "parked_at": NOON}
    await ledger.store.transact(lambda work: work.put(Row(PARKED, row | {"alarmed_at": None})))
    [kept] = await ledger.query(f"SELECT {', '.join(row)}, alarmed_at FROM {SCHEMA}.parked")  # noqa: S608 - names of ours
    assert kept == (*row.values(), None)


SECOND = Patch(ANSWERS, KEY | {"answer": b"second"})


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ((Row(ANSWERS, WHOLE), SECOND), [(b"second", b"\x00h", NOON)]),
        ((SECOND, Patch(ANSWERS, KEY | {"body_hash": b"i"})), [(b"second", b"i", NOON)]),
        ((SECOND, Row(ANSWERS, WHOLE)), [(b"first", b"\x00h", NOON)]),
        ((Gone(ANSWERS, KEY), SECOND), []),
        ((SECOND, Gone(ANSWERS, KEY)), []),
        ((Cleared(ANSWERS, {"actor": "bo"}), SECOND), []),
        ((SECOND, Cleared(ANSWERS, {"actor": "bo"})), []),
        ((Row(ANSWERS, WHOLE | {"key": "new"}), Cleared(ANSWERS, {"actor": "bo"})), []),
        ((Cleared(ANSWERS, {"actor": "bo", "operation": "create"}), Row(ANSWERS, WHOLE)), [(b"first", b"\x00h", NOON)]),
        ((Cleared(ANSWERS, {"actor": "cy"}),), [(b"before", b"\x00h", NOON)]),
    ],
)
async def test_changes_of_one_row_add_up_in_their_order(
    ledger: Ledger, changes: tuple[Change, ...], left: list[Any]
) -> None:
    await write(ledger, Row(ANSWERS, WHOLE | {"answer": b"before"}))
    assert await write(ledger, *changes) == left


async def test_what_is_cleared_in_one_commit_are_the_rows_of_before_it_and_those_of_nobody_else(ledger: Ledger) -> None:
    def of(actor: str, key: str) -> Row:
        return Row(ANSWERS, WHOLE | {"actor": actor, "key": key, "answer": f"{actor} {key}".encode()})

    cleared = [Cleared(ANSWERS, {"actor": actor}) for actor in ("bo", "cy")]
    changes: list[Change] = [of("bo", "4"), of("ana", "4"), *cleared, of("bo", "5")]
    await write(ledger, *(of(actor, f"{n}") for actor in ("ana", "bo", "cy") for n in range(3)))
    left = await write(ledger, *changes)
    assert sorted(answer for answer, *_ in left) == [b"ana 0", b"ana 1", b"ana 2", b"ana 4", b"bo 5"]
    desk = Desk(lambda _event, _state: ())
    desk.take(lambda work: work.put(*changes), NOON)
    assert [row["answer"] for row in desk.rows(ANSWERS)] == [b"ana 4", b"bo 5"]


async def test_a_patch_finds_its_rows_by_their_key_however_few_they_were_when_it_was_prepared(ledger: Ledger) -> None:
    async def patch(key: str) -> None:
        change = Patch(ANSWERS, {"actor": "a", "operation": "o", "key": key, "answer": b"y"})
        await ledger.store.transact(lambda work: work.put(change))

    await patch("0")
    await ledger.query(
        "INSERT INTO incidents.answers SELECT 'a', 'o', n::text, '', '', now() FROM generate_series(1, 20000) n"
    )
    await ledger.query("ANALYZE incidents.answers")
    before = await _whole_reads(ledger)
    for number in range(1, 20):
        await patch(str(number))
    assert await _whole_reads(ledger) == before
    assert await ledger.query("SELECT count(*) FROM incidents.answers WHERE answer = 'y'") == [(19,)]


async def _whole_reads(ledger: Ledger) -> int:
    """How often the whole table has been read, also by the store's session, which tells of it when it is asked to."""
    await ledger.store.transact(lambda work: work.fetch(text("SELECT pg_stat_force_next_flush()::text")))
    found = await ledger.query(
        "SELECT seq_scan FROM pg_stat_user_tables WHERE schemaname = 'incidents' AND relname = 'answers'"
    )
    return int(found[0][0])


async def test_a_further_row_takes_its_key_from_the_table_and_no_other_rows_place(ledger: Ledger) -> None:
    parked = chassis_tables(SCHEMA).parked
    like = {"kind": "input", "upstream": "ALERTS", "lane": "routine", "position": 1, "entity": "e", "type": "t"}
    row = like | {"reason": "r", "raw": b"\x00\xff", "headers": {"a": "b"}, "parked_at": NOON}
    for _commit in range(2):
        await ledger.store.transact(lambda work: work.put(Added(parked, row), Added(parked, row)))
    found = await ledger.query("SELECT id, raw, headers FROM incidents.parked ORDER BY id")
    assert [(raw, headers) for _id, raw, headers in found] == [(b"\x00\xff", {"a": "b"})] * 4
    assert len({number for number, _raw, _headers in found}) == 4


POSITIONS = chassis_tables(SCHEMA).cursors
PLACE = {"upstream": "ALERTS", "lane": "routine"}


def tally(count: int, sequence: int | None, incarnation: str | None) -> Tally:
    """Counts in `epoch`; the greatest of `sequence` within an `incarnation`."""
    values = PLACE | {"epoch": count, "position": 0, "sequence": sequence, "incarnation": incarnation}
    return Tally(POSITIONS, values, sums=("epoch",), era="incarnation")


@pytest.mark.parametrize(
    ("tallies", "left"),
    [
        ([(1, 5, "a"), (2, 9, "a"), (3, 7, "a")], (6, 9, "a")),
        ([(1, 9, "b"), (1, 2, "a")], (2, 2, "a")),
        ([(1, 9, "a"), (1, 6, "a/5@b"), (3, 2, "a")], (5, 6, "a/5@b")),
        ([(1, 6, "a/5@b"), (1, 2, "a/5@b/1@c")], (2, 2, "a/5@b/1@c")),
        ([(1, 9, "a"), (4, None, None)], (5, 9, "a")),
        ([(1, 9, "a"), (4, None, "a/5@b")], (5, 9, "a/5@b")),
        ([(1, None, None), (4, 3, "a"), (1, 1, "a")], (6, 3, "a")),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_tallies_add_up_and_keep_the_greatest_place(
    ledger: Ledger, tallies: list[tuple[int, int | None, str | None]], left: Any, together: bool
) -> None:
    await ledger.query("DELETE FROM incidents.cursors")
    await ledger.query("ALTER TABLE incidents.cursors ALTER sequence DROP NOT NULL, ALTER incarnation DROP NOT NULL")
    changes = [tally(*one) for one in tallies]
    desk = Desk(lambda _event, _state: ())
    for batch in [changes] if together else [[change] for change in changes]:
        await ledger.store.transact(putting(batch))
        desk.take(putting(batch), NOON)
    assert await ledger.query("SELECT epoch, sequence, incarnation FROM incidents.cursors") == [left]
    assert [(r["epoch"], r["sequence"], r["incarnation"]) for r in desk.rows(POSITIONS)] == [left]


def putting(changes: Sequence[Change]) -> Callable[[Work], None]:
    return lambda work: work.put(*changes)


async def test_two_transactions_that_count_the_same_rows_do_not_wait_for_one_another(ledger: Ledger) -> None:
    """In the order of the keys: else each could hold what the other one wants."""
    names = [f"{n:03}" for n in range(200)]

    values = dict(tally(1, 1, "a").values)

    def count(order: list[str]) -> Callable[[Work], None]:
        return putting([Tally(POSITIONS, values | {"upstream": n}, ("epoch",), "incarnation") for n in order])

    other = ledger.make_store("b")
    for _round in range(10):
        await asyncio.gather(ledger.store.transact(count(names)), other.transact(count(names[::-1])))
    found = await ledger.query("SELECT min(epoch), max(epoch) FROM incidents.cursors WHERE upstream < 'A'")
    assert found == [(20, 20)]
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await ledger.query(deadlocks) == [(0,)]


BOOKS = Table(
    "books",
    MetaData(schema=SCHEMA),
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("lent_to", Text),
    Column("lent_in", ARRAY(Integer)),
)
BOOK = Row(BOOKS, {"id": "a", "title": "old"})


def lent(to: str, *place: int, book: str = "a") -> NewestPatch:
    return NewestPatch(BOOKS, {"id": book, "lent_to": to, "lent_in": list(place)}, by=("lent_in",))


@pytest.fixture
async def books(ledger: Ledger) -> Ledger:
    await ledger.query("CREATE TABLE incidents.books (id text PRIMARY KEY, title text, lent_to text, lent_in int[])")
    await ledger.query("GRANT ALL ON incidents.books TO PUBLIC")
    return ledger


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ([BOOK, lent("ana", 1, 1, 2), lent("bo", 1, 2, 1)], [("old", "bo", [1, 2, 1])]),
        ([BOOK, lent("bo", 1, 2, 1), lent("ana", 1, 1, 2)], [("old", "bo", [1, 2, 1])]),
        ([BOOK, lent("bo", 1, 2, 1), lent("cy", 1, 2, 1)], [("old", "cy", [1, 2, 1])]),
        ([BOOK, lent("bo", 2, 1), Row(BOOKS, {"id": "a", "title": "new"})], [("new", "bo", [2, 1])]),
        ([lent("bo", 2, 1)], []),
    ],
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_row_is_amended_by_what_is_not_earlier_and_only_where_it_stands(
    books: Ledger, changes: list[Change], left: list[Any], together: bool
) -> None:
    desk = Desk(lambda _event, _state: ())
    for batch in [changes] if together else [[change] for change in changes]:
        await books.store.transact(putting(batch))
        desk.take(putting(batch), NOON)
    assert await books.query("SELECT title, lent_to, lent_in FROM incidents.books") == left
    assert [(r["title"], r["lent_to"], r["lent_in"]) for r in desk.rows(BOOKS)] == left


async def test_who_writes_rows_and_who_amends_them_do_not_wait_for_one_another(books: Ledger) -> None:
    names = [f"{n:03}" for n in range(200)]
    rows = [Row(BOOKS, {"id": name, "title": "old"}) for name in names]
    await books.store.transact(putting(rows))
    other = books.make_store("b")
    for place in range(10):
        amended = [lent("ana", place, book=name) for name in reversed(names)]
        await asyncio.gather(books.store.transact(putting(rows)), other.transact(putting(amended)))
    assert await books.query("SELECT min(lent_in), max(lent_in) FROM incidents.books") == [([9], [9])]
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await books.query(deadlocks) == [(0,)]
