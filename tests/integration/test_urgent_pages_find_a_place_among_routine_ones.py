"""What the sender takes from the outbox: urgent pages first, and places that routine ones never fill."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.chassis.store.store import Store
from libs.chassis.testing.clock import MovableClock
from services.notifier.outbox import RESERVED, Room, Sendable, StoredOutbox
from tests.servers import Servers

NOW = MovableClock().now()


async def _fill(servers: Servers, database: str, count: int, provider: str, lane: str, late: float = 1) -> list[UUID]:
    """Rows that have been due for `late` seconds and less, oldest first; none of their devices is known."""
    ids = [uuid4() for _ in range(count)]
    async with await psycopg.AsyncConnection.connect(servers.database_url("superuser", database)) as connection:
        for number, one in enumerate(ids):
            due = NOW - timedelta(seconds=late) + timedelta(milliseconds=number)
            await connection.execute(
                "INSERT INTO notifier.outbox VALUES (%s, %s, %s, 'page', 1, %s, %s, %s, %s, NULL)",
                (one, provider, lane, due, NOW + timedelta(hours=1), uuid4(), uuid4()),
            )
            await connection.execute(
                "INSERT INTO notifier.notifications (id, incident_id, user_id, method_id, method_kind, run, round,"
                " level, step, state, created_at, paging_since, number, title, priority)"
                " VALUES (%s, %s, %s, 'phone', 'apns', 1, 1, 1, 1, 'intended', %s, %s, %s, 'disk full', 'high')",
                (one, uuid4(), uuid4(), NOW, NOW, number),
            )
    return ids


def _taken(rows: list[Sendable]) -> Counter[tuple[str, str]]:
    return Counter((row.provider, row.lane) for row in rows)


@pytest.mark.parametrize(
    ("urgent", "routine", "expected"),
    [
        (0, 200, {("apns", "routine"): 100 - RESERVED}),
        (10, 200, {("apns", "urgent"): 10, ("apns", "routine"): 100 - RESERVED - 10}),
        (200, 200, {("apns", "urgent"): 100}),
        (90, 5, {("apns", "urgent"): 90}),
        (3, 4, {("apns", "urgent"): 3, ("apns", "routine"): 4}),
    ],
)
async def test_routine_pages_leave_places_for_urgent_ones(
    servers: Servers, urgent: int, routine: int, expected: dict[tuple[str, str], int]
) -> None:
    async with servers.fresh() as database:
        await _fill(servers, database, routine, "apns", "routine", late=60)
        first = await _fill(servers, database, urgent, "apns", "urgent")
        await _fill(servers, database, 2, "fcm", "urgent", late=-1)
        url = servers.database_url("notifier", database)
        store = Store(
            url, "notifier", clock=MovableClock(), projector=lambda _event, _state: (), instance="a", role="work"
        )
        try:
            outbox = StoredOutbox(store)
            taken = await outbox.take(NOW, (), {"apns": Room(100), "fcm": Room(100)})
            assert _taken(list(taken.rows)) == expected
            assert [r.notification_id for r in taken.rows if r.lane == "urgent"] == first[:100], "the oldest first"
            assert taken.next_due == NOW + timedelta(seconds=1)
            assert {row.push_token for row in taken.rows} == {None}
            again = await outbox.take(NOW, [r.notification_id for r in taken.rows], {"apns": Room(100), "fcm": Room(0)})
            assert not {r.notification_id for r in again.rows} & {r.notification_id for r in taken.rows}
            assert not (await outbox.take(NOW, (), {"apns": Room(0), "fcm": Room(0)})).rows
            assert not (await outbox.take(NOW, (), {"apns": Room(-3)})).rows
        finally:
            store.close()
