"""The synthetic history in the logs of a database of its own, by COPY."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg import sql

from bench.synthetic import BEGIN, EVENTS_PER_INCIDENT, Page, Stored, Writer, beginning
from cli.embedded.database import DATABASE, database_setup, role_name
from cli.reach.urls import with_user
from libs.chassis.rebuild.history import connect, ends
from libs.chassis.store.migrate import upgrade
from libs.contracts.codec import CODEC
from libs.contracts.subjects import SERVICES, UPSTREAMS

_OURS: Final = "pager_bench_replay"


def database_of(url: str, passwords: Mapping[str, str], events: int) -> tuple[str, bool]:
    """The URL of a database whose logs hold so many events, and whether they are synthetic.

    That is Pager's own where it holds enough, else ours, filled when it is not: nothing of Pager's own is touched.
    """
    for name in (DATABASE, _OURS):
        try:
            with connect(_in(url, name), "bench") as connection:
                if sum(ends(connection, SERVICES).values()) >= events:
                    return _in(url, name), name == _OURS
        except psycopg.Error:
            pass  # not there, or not migrated
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_OURS)))
    asyncio.run(database_setup(url, {r: w for r, w in passwords.items() if r != "postgres"}, _OURS))
    owner = with_user(_in(url, _OURS), role_name("owner"), passwords[role_name("owner")])
    for service in SERVICES:
        upgrade(service, owner)
    fill(_in(url, _OURS), events + 1000)
    _read_everything(_in(url, _OURS))
    return _in(url, _OURS), True


def _in(url: str, database: str) -> str:
    return urlsplit(url)._replace(path=f"/{database}").geturl()


def _read_everything(url: str) -> None:
    """Cursors of services that have followed all of it, so that replicas can be rebuilt."""
    with psycopg.connect(url) as connection:
        for service in SERVICES:
            for upstream in UPSTREAMS[service]:
                move = sql.SQL(
                    "INSERT INTO {} SELECT {}, lane, 1, max(notification_id), 0, '' FROM {} GROUP BY lane"
                ).format(
                    sql.Identifier(service, "cursors"), sql.Literal(upstream), sql.Identifier(upstream, "stored_events")
                )
                connection.execute(move)


def history(events: int) -> Iterator[Stored]:
    """About so many events, in the order of their commits: two incidents a second."""
    writer = Writer(random.Random(42))
    yield from beginning(writer)
    waiting: list[tuple[datetime, int, Stored]] = []
    ticket = count()
    for number in range(1, events // EVENTS_PER_INCIDENT + 1):
        at = BEGIN + timedelta(hours=1, seconds=number / 2)
        last: dict[UUID, datetime] = {}
        for stored in Page(writer, number, at).events():
            # Commits of one entity keep their order whatever the clocks say.
            when = max(stored.event.time, last.get(stored.event.entity, stored.event.time))
            last[stored.event.entity] = when
            waiting.append((when, next(ticket), stored))
        if number % 2000 == 0:
            yield from _settled(waiting, at)
    yield from _settled(waiting, datetime.max.replace(tzinfo=UTC))


def _settled(waiting: list[tuple[datetime, int, Stored]], until: datetime) -> Iterator[Stored]:
    waiting.sort()
    ready = [w for w in waiting if w[0] < until]
    del waiting[: len(ready)]
    yield from (stored for _, _, stored in ready)


_COLUMNS = sql.SQL("originator_id, originator_version, topic, state, notification_id, lane, recorded_at, slot")


def fill(url: str, events: int) -> dict[str, int]:
    """Write the history into the empty logs of a migrated database; the number of events by service."""
    services = ("auth", "incidents", "escalation", "notifier")
    written = dict.fromkeys(services, 0)
    rows: dict[str, list[Stored]] = {service: [] for service in services}
    with psycopg.connect(url) as connection:
        for stored in history(events):
            rows[stored.service].append(stored)
            if len(rows[stored.service]) >= 20_000:
                _copy(connection, stored.service, rows[stored.service], written)
        for service in services:
            _copy(connection, service, rows[service], written)
            sequence = f"{service}.stored_events_notification_id_seq"
            connection.execute("SELECT setval(%s, %s)", (sequence, max(written[service], 1)))
    with psycopg.connect(url, autocommit=True) as connection:
        for service in services:
            connection.execute(sql.SQL("VACUUM ANALYZE {}.stored_events").format(sql.Identifier(service)))
    return written


def _copy(connection: psycopg.Connection[Any], service: str, rows: list[Stored], written: dict[str, int]) -> None:
    statement = sql.SQL("COPY {}.stored_events ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(service), _COLUMNS
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["uuid", "int8", "text", "bytea", "int8", "text", "timestamptz", "int2"])
        for position, (_, event) in enumerate(rows, written[service] + 1):
            place = (position, str(event.lane), event.time, event.slot)
            copy.write_row((event.entity, event.version, event.type, CODEC.encode(event), *place))
    written[service] += len(rows)
    rows.clear()
