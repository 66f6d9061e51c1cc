"""Rows by primary key: set, amended, removed; of several changes to one in a commit only their sum is written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from libs.chassis.store.changes import Added, Change, Gone, Patch, Row
from libs.chassis.store.tables import chassis_tables
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


SECOND = Patch(ANSWERS, KEY | {"answer": b"second"})


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ((Row(ANSWERS, WHOLE), SECOND), [(b"second", b"\x00h", NOON)]),
        ((SECOND, Patch(ANSWERS, KEY | {"body_hash": b"i"})), [(b"second", b"i", NOON)]),
        ((SECOND, Row(ANSWERS, WHOLE)), [(b"first", b"\x00h", NOON)]),
        ((Gone(ANSWERS, KEY), SECOND), []),
        ((SECOND, Gone(ANSWERS, KEY)), []),
    ],
)
async def test_changes_of_one_row_add_up_in_their_order(
    ledger: Ledger, changes: tuple[Change, ...], left: list[Any]
) -> None:
    await write(ledger, Row(ANSWERS, WHOLE | {"answer": b"before"}))
    assert await write(ledger, *changes) == left


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
