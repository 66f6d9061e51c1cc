"""The rows of an incident's alerts: what each event writes of them (docs/adr/0067).

Most incidents have one alert, of which the incident says everything: there are rows where there is something to tell
apart, from the second alert on, and where the first is over before its incident.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Index, Integer, MetaData, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.changes import Change, Patch, Row
from libs.contracts.envelope import Fact
from libs.contracts.incident_alerts import AlertAdded, AlertResolved
from libs.contracts.incidents import AlertsGrouped
from services.incidents.domain.incident import Incident


def alerts_table(metadata: MetaData) -> Table:
    """The alerts of incidents that have had more than one."""
    return Table(
        "alerts",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("incident_id", Uuid, nullable=False),
        # In the order of their coming: those of one batch have one moment.
        Column("number", Integer, nullable=False),
        Column("fingerprint", Text),
        Column("title", Text, nullable=False),
        Column("description", Text),
        Column("priority", Text, nullable=False),
        Column("source", Text, nullable=False),
        Column("labels", JSONB, nullable=False),
        Column("links", JSONB, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        Column("occurred_at", DateTime(timezone=True)),
        Column("resolved_at", DateTime(timezone=True)),
        Index("alerts_incident_idx", "incident_id", "number"),
    )


def alert_repeats_table(metadata: MetaData) -> Table:
    """How often each of these came, exactly, and where in ALERTS the last time: a part of what `repeats` counts."""
    return Table(
        "alert_repeats",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("count", BigInteger, nullable=False),
        Column("last_at", DateTime(timezone=True), nullable=False),
        Column("last_incarnation", Text),
        Column("last_sequence", BigInteger),
        Column("unplaced_at", DateTime(timezone=True)),
    )


def alert_changes(table: Table, fact: Fact, state: Incident) -> Iterator[Change]:
    """What an event of an incident, in the state after it, writes into `table` of its alerts."""
    match fact:
        case AlertAdded():
            if state.alerts.added == 1:
                # Whether it is over is said already, if it is.
                yield Row(table, _first(state))
            yield _added(table, fact, state.alerts.total)
        case AlertResolved():
            if state.alerts.added == 0:
                yield Row(table, _first(state))
            yield Patch(table, {"id": fact.alert_id, "resolved_at": fact.at})
        case AlertsGrouped(title=str()) if state.alerts.has_rows:
            told = {"title": fact.title, "description": fact.description}
            yield Patch(table, {"id": fact.alert_id or state.alerts.first} | told)
        case _:
            pass


def first_row(state: Incident) -> dict[str, Any]:
    """Of the first alert as a row has it, also where there is none. The incident must exist."""
    return _first(state) | {"resolved_at": None}


def _first(state: Incident) -> dict[str, Any]:
    created = state.created
    assert created is not None  # noqa: S101 - every event of an incident follows its creation
    return {
        "id": state.alerts.first or created.incident_id,
        "incident_id": created.incident_id,
        "number": 1,
        "fingerprint": created.fingerprint,
        "title": state.title,
        "description": state.description,
        "priority": str(created.priority),
        "source": created.source,
        "labels": created.labels,
        "links": created.links,
        "created_at": created.created_at,
        "occurred_at": created.occurred_at,
    }


def _added(table: Table, fact: AlertAdded, number: int) -> Change:
    row: dict[str, Any] = {
        "id": fact.alert_id,
        "incident_id": fact.incident_id,
        "fingerprint": fact.fingerprint,
        "title": fact.title,
        "description": fact.description,
        "priority": str(fact.priority),
        "source": fact.source,
        "labels": fact.labels,
        "links": fact.links,
        "occurred_at": fact.occurred_at,
        "resolved_at": None,
    }
    return Patch(table, row) if fact.again else Row(table, row | {"number": number, "created_at": fact.at})
