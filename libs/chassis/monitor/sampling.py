"""What a service looks up about itself when somebody asks: its place in streams, its backlog, its connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.sql import Select

from libs.chassis.consume.parking import ParkedKind, count_parked
from libs.chassis.consume.reader import Reader
from libs.chassis.measure.metrics import DENIED, GaugeValue
from libs.chassis.monitor.watched import Replica
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.model import Lane

_MANY = 10_000
"""Rows that are counted; more are shown as this many."""


def process_samples(replica: Replica) -> Iterator[GaugeValue]:
    """What is known without asking anybody."""
    active = replica.leader.active
    yield GaugeValue("pager_active", "Whether this replica consumes, publishes and fires timers.", active)
    yield GaugeValue("pager_bus_connected", "Whether there is a connection to NATS.", replica.bus.connected)
    yield GaugeValue("pager_bus_denied", DENIED, replica.bus.client.denied)
    for role, store in replica.stores.items():
        pool, labels = store.connections(), {"role": role}
        used = pool.get("pool_size", 0) - pool.get("pool_available", 0)
        yield GaugeValue("pager_database_pool_max", "Connections that may be open.", pool["pool_max"], labels)
        yield GaugeValue("pager_database_pool_used", "Connections in use at this moment.", used, labels)
    if active:
        odd = bool(replica.relay.reasons())
        yield GaugeValue("pager_relay_at_odds", "Whether the stream tells of events that the log does not hold.", odd)
    for reader in replica.readers:
        yield from _reader(reader, active)


def _reader(reader: Reader, active: bool) -> Iterator[GaugeValue]:
    """Where a service stands is the active replica's knowledge alone."""
    labels = {"upstream": reader.upstream.lower(), "lane": str(reader.lane)}
    stopped = reader.stopped is not None
    yield GaugeValue("pager_consumer_stopped", "Whether consumption has stopped for a fault.", stopped, labels)
    if active:
        text = "Messages of the stream that have not taken effect here."
        yield GaugeValue("pager_consumer_lag", text, reader.lag, labels)


def database_samples(replica: Replica, work: Work) -> list[GaugeValue]:
    """What stands in the tables; runs in a transaction that only reads."""
    samples = [*_parked(replica.name, work), _epoch(replica.name, work)]
    if replica.leader.active:
        samples += _relay(replica.name, work, dict(replica.relay.published))
    if replica.has_timers:
        samples += _timers(replica.name, work)
    return samples + list(replica.watched.gauges(work))


def _parked(schema: str, work: Work) -> Iterator[GaugeValue]:
    counts = count_parked(work, schema)
    for kind in ParkedKind:
        yield GaugeValue("pager_parked", "Inputs that are set aside.", counts.get(kind, 0), {"kind": str(kind)})


def _epoch(schema: str, work: Work) -> GaugeValue:
    newest = work.fetch(select(func.max(chassis_tables(schema).epochs.c.epoch).label("epoch")))[0]["epoch"]
    return GaugeValue("pager_log_epoch", "The epoch of the log; it rises when the log was restored.", newest or 0)


def _relay(schema: str, work: Work, published: Mapping[Lane, int]) -> Iterator[GaugeValue]:
    for lane, after in published.items():
        row = work.fetch(_unpublished(schema), lane=str(lane), after=after)[0]
        labels = {"lane": str(lane)}
        yield GaugeValue(
            "pager_relay_lag", "Events that are not in the stream yet, counted to 10,000.", row["n"], labels
        )
        age = seconds_since(row["oldest"], work.now)
        yield GaugeValue(
            "pager_relay_age_seconds", "Age of the oldest event that is not in the stream yet.", age, labels
        )


def unpublished_since(work: Work, schema: str, lane: Lane, after: int) -> datetime | None:
    """When the first event of the lane behind this position was committed; None: there is none."""
    rows = work.fetch(_first_unpublished(schema), lane=str(lane), after=after)
    return rows[0]["recorded_at"] if rows else None


@cache
def _first_unpublished(schema: str) -> Select[Any]:
    c = chassis_tables(schema).events.c
    behind = select(c.recorded_at).where(c.lane == bindparam("lane"), c.notification_id > bindparam("after"))
    return behind.order_by(c.notification_id).limit(1)


@cache
def _unpublished(schema: str) -> Select[int, Any]:
    c = chassis_tables(schema).events.c
    behind = select(c.recorded_at).where(c.lane == bindparam("lane"), c.notification_id > bindparam("after"))
    some = behind.order_by(c.notification_id).limit(_MANY).subquery()
    return select(func.count().label("n"), func.min(some.c.recorded_at).label("oldest"))


def _timers(schema: str, work: Work) -> Iterator[GaugeValue]:
    row = work.fetch(_due(schema), moment=work.now)[0]
    yield GaugeValue("pager_timers_due", "Timers that should have fired by now, counted to 10,000.", row["n"])
    overdue = seconds_since(row["oldest"], work.now)
    yield GaugeValue("pager_timers_overdue_seconds", "How late the oldest timer is that has not fired.", overdue)


@cache
def _due(schema: str) -> Select[int, Any]:
    c = chassis_tables(schema).timers.c
    some = select(c.due_at).where(c.due_at <= bindparam("moment")).order_by(c.due_at).limit(_MANY).subquery()
    return select(func.count().label("n"), func.min(some.c.due_at).label("oldest"))


def seconds_since(moment: datetime | None, now: datetime) -> float:
    """0 for no moment, and for one that is still to come."""
    return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0
