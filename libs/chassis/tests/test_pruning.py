"""What matters only for a while is forgotten, and nothing that is younger."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import text

from libs.chassis.store.pruning import Pruning, Retention
from libs.chassis.store.tables import chassis_tables
from libs.chassis.tests.ledger import SCHEMA, Ledger, until

_DAY = Retention(chassis_tables(SCHEMA).answers, "answered_at", timedelta(days=1))
_FILL = (
    "INSERT INTO incidents.answers (actor, operation, key, body_hash, answer, answered_at)"
    " SELECT 'ana', %s, n::text, '', '', %s FROM generate_series(1, %s) n"
)
_COUNT = "SELECT operation, count(*) FROM incidents.answers GROUP BY 1 ORDER BY 1"


def _pruning(ledger: Ledger) -> Pruning:
    return Pruning(SCHEMA, ledger.store, ledger.clock, (_DAY,))


async def test_all_that_is_older_goes_in_batches_and_the_rest_stays(ledger: Ledger) -> None:
    now = ledger.clock.now()
    await ledger.query(_FILL, "old", now - timedelta(days=1, seconds=1), 2500)
    await ledger.query(_FILL, "new", now - timedelta(days=1), 10)
    assert await _pruning(ledger).prune(_DAY) == 2500
    assert await ledger.query(_COUNT) == [("new", 10)]
    assert await _pruning(ledger).prune(_DAY) == 0


async def test_it_looks_again_every_hour(ledger: Ledger) -> None:
    await ledger.query(_FILL, "first", ledger.clock.now() - timedelta(days=2), 1)
    await ledger.query(_FILL, "later", ledger.clock.now() - timedelta(hours=23, minutes=30), 1)
    ledger.run(_pruning(ledger).run)
    await until(lambda: ledger.query(_COUNT), lambda rows: rows == [("later", 1)], "the first look")
    ledger.clock.advance(minutes=59)
    await asyncio.sleep(0)
    assert await ledger.query(_COUNT) == [("later", 1)]
    ledger.clock.advance(minutes=1)
    await until(lambda: ledger.query(_COUNT), lambda rows: rows == [], "the look an hour later")


async def test_it_reads_the_old_end_of_an_index_and_not_the_table(ledger: Ledger) -> None:
    await ledger.query(_FILL, "new", ledger.clock.now(), 5000)
    await ledger.query("ANALYZE incidents.answers")
    before = await _scans(ledger)
    await _pruning(ledger).prune(_DAY)
    after = await until(lambda: _scans(ledger), lambda found: found[1] > before[1], "a scan of the index")
    assert after[0] == before[0], "the table was read from end to end"


async def _scans(ledger: Ledger) -> tuple[int, int]:
    """Of the table and of its indexes, also by the store's session, which tells of them when it is asked to."""
    await ledger.store.transact(lambda work: work.fetch(text("SELECT pg_stat_force_next_flush()::text")))
    ((seq, index),) = await ledger.query(
        "SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relid = 'incidents.answers'::regclass"
    )
    return seq, index
