"""Pages by number and by cursor, on a list of one table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from pydantic import ValidationError
from sqlalchemy import BigInteger, Column, DateTime, Integer, MetaData, Table, Text, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.estimates import MOST_KEPT, Estimates, Total
from libs.chassis.store.listing import Each, Explain, Keyset, Listing, Page, planned_rows
from libs.chassis.store.queries import Queries
from libs.chassis.tests.ledger import Ledger
from libs.contracts.model import Contract
from libs.contracts.requests import EXACT, Invalid, ListPage

_THINGS = Table(
    "things",
    MetaData(schema="incidents"),
    Column("id", BigInteger, primary_key=True),
    Column("kind", Text, nullable=False),
)
_ORDER = Keyset("things", (_THINGS.c.kind, _THINGS.c.id), descending=True)
_ALL = Listing(_ORDER, select(_THINGS))
_KINDS = select(_THINGS.c.kind).where(_THINGS.c.kind != "b").distinct().subquery("kinds")
_FEW = select(_THINGS.c.id).where(_THINGS.c.kind == "b").subquery("few")
_EACH = Each(_KINDS, select(_THINGS).where(_THINGS.c.kind == _KINDS.c.kind))
_SOME = Listing(_ORDER, *(select(_THINGS).where(_THINGS.c.kind == kind) for kind in ("a", "c")))


@pytest.fixture
async def queries(ledger: Ledger) -> Queries:
    await ledger.query("CREATE TABLE incidents.things (id bigint PRIMARY KEY, kind text NOT NULL)")
    await ledger.query("CREATE UNIQUE INDEX ON incidents.things (kind, id)")
    await ledger.query("GRANT SELECT ON incidents.things TO PUBLIC")
    await _add(ledger, 1, 30)
    return ledger.queries()


async def _add(ledger: Ledger, first: int, last: int) -> None:
    await ledger.query(
        "INSERT INTO incidents.things SELECT n, chr(97 + n %% 3) FROM generate_series(%s::int, %s::int) n", first, last
    )


async def _page(queries: Queries, listing: Listing, **asked: Any) -> Page:
    return await queries.read(lambda work: listing.page(work, ListPage(**asked)))


class _Wordy(Contract):
    id: int
    words: str


def _wordy(page: Page, made: list[int]) -> Iterator[_Wordy]:
    """Six of these fit into one answer, but of every tenth not even two."""
    for row in page.rows:
        made.append(row["id"])
        yield _Wordy(id=row["id"], words="x" * (600_000 if row["id"] % 10 == 0 else 80_000))


@pytest.mark.parametrize(
    ("listing", "rows"),
    [
        (_ALL, 30),
        (_SOME, 20),
        (Listing(_ORDER, _EACH), 20),
        (Listing(_ORDER, _EACH, Each(_FEW, select(_THINGS).where(_THINGS.c.id == _FEW.c.id))), 30),
    ],
)
async def test_whoever_walks_with_cursors_sees_each_row_once_while_others_come(
    queries: Queries, ledger: Ledger, listing: Listing, rows: int
) -> None:
    page = await _page(queries, listing, limit=4)
    assert (page.total, page.total_is_estimate) == (rows, False)
    walked, more = [page], 100
    while page.next_cursor is not None:
        await _add(ledger, more, more + 5)  # before and behind what was seen
        more += 6
        page = await _page(queries, listing, limit=4, cursor=page.next_cursor)
        walked.append(page)
    seen = [(row["kind"], row["id"]) for page in walked for row in page.rows]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == len(seen)
    assert sum(1 for _, number in seen if number <= 30) == rows


@pytest.mark.parametrize("limit", [100, 4])
async def test_a_page_ends_where_an_answer_is_full_and_the_next_one_begins_there(queries: Queries, limit: int) -> None:
    seen: list[int] = []
    asked: dict[str, Any] = {"page": 1}
    while True:
        page = await _page(queries, _ALL, limit=limit, **asked)
        made: list[int] = []
        told = page.told("things", _wordy(page, made))
        shown = [view.id for view in told["things"]]
        assert shown
        assert len(shown) == 1 or sum(len(view.to_json()) for view in told["things"]) <= 512 * 1024
        assert made[: len(shown)] == shown
        assert len(made) <= len(shown) + 1
        assert (told["total"], told["total_is_estimate"]) == (30, False)
        seen += shown
        if told["next_cursor"] is None:
            break
        asked = {"cursor": told["next_cursor"]}
    assert seen == [row["id"] for row in (await _page(queries, _ALL, limit=100)).rows]


async def test_a_page_of_no_rows_is_told(queries: Queries) -> None:
    page = await _page(queries, _ALL, page=9)
    assert page.told("things", ()) == {"things": (), "total": 30, "total_is_estimate": False, "next_cursor": None}


async def test_numbered_pages_end_where_totals_end_being_exact(queries: Queries, ledger: Ledger) -> None:
    first, second = await _page(queries, _ALL, limit=20), await _page(queries, _ALL, limit=20, page=2)
    assert (len(first.rows), len(second.rows), second.next_cursor) == (20, 10, None)
    await _add(ledger, 31, EXACT + 500)
    await ledger.query("ANALYZE incidents.things")
    last = await _page(queries, _ALL, limit=100, page=EXACT // 100)
    assert last.total_is_estimate
    assert EXACT < last.total < 2 * EXACT
    with pytest.raises(Invalid, match="nextCursor") as refused:
        await _page(queries, _ALL, limit=100, page=EXACT // 100 + 1)
    assert refused.value.field == "page"
    beyond = await _page(queries, _ALL, limit=100, cursor=last.next_cursor)
    assert len({row["id"] for row in (*last.rows, *beyond.rows)}) == 200


async def test_only_an_estimate_is_kept_and_for_a_minute(queries: Queries, ledger: Ledger) -> None:
    few = await _page(queries, _ALL)
    await _add(ledger, 31, EXACT + 31)
    many = await _page(queries, _ALL)
    assert (few.total, few.total_is_estimate, many.total_is_estimate) == (30, False, True), "what is exact is not kept"
    await ledger.query("DELETE FROM incidents.things WHERE id > 40")
    kept = await _page(queries, _ALL)
    assert (kept.total, kept.total_is_estimate) == (many.total, True)
    assert max(row["id"] for row in kept.rows) <= 40, "rows are always read"
    assert (await _page(queries, _SOME)).total < 40, "of another list nothing is kept"
    ledger.clock.advance(minutes=1)
    again = await _page(queries, _ALL)
    assert (again.total, again.total_is_estimate) == (40, False)


async def test_totals_are_told_apart_by_all_that_is_asked_for(queries: Queries, ledger: Ledger) -> None:
    """Also where it is long and differs at its end."""
    await _add(ledger, 31, EXACT + 31)
    wanted = bindparam("wanted", type_=JSONB)
    listing = Listing(_ORDER, select(_THINGS).where(_THINGS.c.id > func.jsonb_array_length(wanted)))

    async def total(numbers: list[int]) -> Total:
        return await queries.read(lambda work: listing.total(work, wanted=Jsonb(numbers)))

    many = list(range(100))
    assert (await total([])).is_estimate
    assert (await total([*many, 1])).rows == EXACT + 31 - 101
    assert (await total([*many, 1, 2])).rows == EXACT + 31 - 102


async def test_what_the_planner_thinks_is_asked_once_a_minute_for_each_that_its_statement_names(
    queries: Queries, ledger: Ledger
) -> None:
    wanted = bindparam("wanted", type_=Integer)
    explain = Explain(select(_THINGS.c.id).where(_THINGS.c.id <= wanted))

    async def planned(**parameters: Any) -> int:
        return await queries.read(lambda work: planned_rows(work, explain, **parameters))

    await ledger.query("ANALYZE incidents.things")
    few = await planned(wanted=30, other="a")
    await _add(ledger, 31, EXACT)
    await ledger.query("ANALYZE incidents.things")
    assert await planned(wanted=30, other="b") == few, "what the statement does not name makes no difference"
    assert await planned(wanted=EXACT) > EXACT / 2
    await ledger.query("DELETE FROM incidents.things WHERE id > 1")
    await ledger.query("ANALYZE incidents.things")
    assert await planned(wanted=EXACT) > EXACT / 2
    ledger.clock.advance(minutes=1)
    assert await planned(wanted=EXACT) < few


def test_totals_are_kept_within_bounds_and_not_by_a_clock_that_was_set_back() -> None:
    estimates, now, told = Estimates(), datetime(2026, 3, 2, tzinfo=UTC), Total(EXACT + 1, is_estimate=True)
    for number in range(MOST_KEPT + 1):
        estimates.keep(number, now, told)
    assert sum(estimates.get(number, now) is not None for number in range(MOST_KEPT + 1)) == 1
    assert estimates.get(MOST_KEPT, now - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "////", "W10", "\u00e9", "%00"),
        Keyset("others", _ORDER.columns).cursor({"kind": "a", "id": 1}),
        _ORDER.cursor({"kind": "a", "id": "1"}),
        _ORDER.cursor({"kind": "a", "id": 2**63}),
        _ORDER.cursor({"kind": "a\0", "id": 1}),
        _ORDER.cursor({"kind": 1, "id": 1}),
        _ORDER.cursor({"kind": None, "id": 1}),
    ],
)
async def test_a_cursor_that_is_none_of_this_list_is_refused(queries: Queries, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        await _page(queries, _ALL, cursor=cursor)
    assert refused.value.field == "cursor"


async def test_page_and_cursor_contradict_each_other(queries: Queries) -> None:
    cursor = (await _page(queries, _ALL, limit=1)).next_cursor
    with pytest.raises(Invalid) as refused:
        await _page(queries, _ALL, cursor=cursor, page=1)
    assert refused.value.field == "cursor"


@pytest.mark.parametrize("asked", [{"page": 0}, {"limit": 0}, {"limit": 101}, {"cursor": "x" * 4097}])
def test_what_no_page_can_be_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ListPage(**asked)


def test_a_cursor_holds_moments_and_ids_as_they_are() -> None:
    table = Table("x", MetaData(), Column("at", DateTime(timezone=True)), Column("id", Uuid))
    order = Keyset("x", (table.c.at, table.c.id))
    for at in ("0001-01-01T00:00:00+01:00", "2026-01-01T00:00:00", "infinity"):
        with pytest.raises(Invalid):
            order.place(order.cursor({"at": at, "id": "00000000-0000-0000-0000-000000000001"}))
    place = order.place(order.cursor({"at": "2026-01-01T00:00:00.000001Z", "id": "0" * 31 + "1"}))
    assert str(place["place_0"]) == "2026-01-01 00:00:00.000001+00:00"
