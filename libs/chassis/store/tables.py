"""The tables that every service has: its log, its cursors, its timers, what it parked and what it answered."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.roles import AUDITOR_ROLE, auditor_grants


class ChassisTables:
    """The tables of one service's schema, as the code sees them; `migrations/chassis_*.py` make them."""

    def __init__(self, schema: str) -> None:
        metadata = MetaData(schema=schema)
        self.metadata = metadata
        # The columns up to `notification_id` are the eventsourcing library's, by its names.
        self.events = Table(
            "stored_events",
            metadata,
            Column("originator_id", Uuid, primary_key=True),
            Column("originator_version", BigInteger, primary_key=True, autoincrement=False),
            Column("topic", Text, nullable=False),
            Column("state", LargeBinary, nullable=False),
            Column("notification_id", BigInteger, nullable=False),
            Column("lane", Text, nullable=False),
            Column("recorded_at", DateTime(timezone=True), nullable=False),
            Column("slot", SmallInteger, nullable=False, server_default=text("0")),
            # The only index of positions: beside one without the lane, a plan that was made for any lane walked
            # through all events of the other one (77 % of a core at 300 alerts/s instead of 20 %).
            Index("stored_events_lane_idx", "lane", "notification_id", unique=True),
            Index("stored_events_recorded_at_idx", "recorded_at", postgresql_using="brin"),
        )
        # A restore that lost commits begins a new epoch, so that a reused position is never taken for old. The service
        # writes here through one function only (`chassis_0004`).
        self.epochs = Table(
            "epochs",
            metadata,
            Column("epoch", Integer, primary_key=True, autoincrement=False),
            Column("after_position", BigInteger, nullable=False),
            Column("begun_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
            Column("reason", Text, nullable=False, server_default=""),
        )
        # `incarnation` is the stream's creation time: a recreated stream counts its sequences from one again.
        self.cursors = Table(
            "cursors",
            metadata,
            Column("upstream", Text, primary_key=True),
            Column("lane", Text, primary_key=True),
            Column("epoch", Integer, nullable=False),
            Column("position", BigInteger, nullable=False),
            Column("sequence", BigInteger, nullable=False),
            Column("incarnation", Text, nullable=False),
        )
        self.timers = Table(
            "timers",
            metadata,
            Column("entity", Uuid, primary_key=True),
            Column("name", Text, primary_key=True),
            Column("due_at", DateTime(timezone=True), nullable=False),
            Index("timers_due_at_idx", "due_at"),
        )
        self.parked = Table(
            "parked",
            metadata,
            Column("id", BigInteger, primary_key=True),
            Column("kind", Text, nullable=False),
            Column("upstream", Text, nullable=False),
            Column("lane", Text, nullable=False),
            Column("position", BigInteger, nullable=False),
            Column("entity", Text, nullable=False),
            Column("type", Text, nullable=False),
            Column("reason", Text, nullable=False),
            Column("raw", LargeBinary, nullable=False),
            Column("headers", JSONB, nullable=False),
            Column("parked_at", DateTime(timezone=True), nullable=False),
            Column("alarmed_at", DateTime(timezone=True)),
            Index("parked_entity_idx", "upstream", "entity"),
        )
        # States of long entities, so that a decision need not fold all of their events. `event_id` is the event at
        # `version`, `shape` names the code that folded it: where either is another one now, the log is read instead.
        self.snapshots = Table(
            "snapshots",
            metadata,
            Column("entity", Uuid, primary_key=True),
            Column("version", BigInteger, nullable=False),
            Column("event_id", Uuid, nullable=False),
            Column("slot", SmallInteger, nullable=False),
            Column("shape", Text, nullable=False),
            Column("state", Text, nullable=False),
        )
        # Answers kept for 24 h under (actor, operation, Idempotency-Key), in the command's transaction. `about`: the id
        # of whom or what was answered, if it has one; None, too, where code from before has kept it.
        self.answers = Table(
            "answers",
            metadata,
            Column("actor", Text, primary_key=True),
            Column("operation", Text, primary_key=True),
            Column("key", Text, primary_key=True),
            Column("body_hash", LargeBinary, nullable=False),
            Column("answer", LargeBinary, nullable=False),
            Column("answered_at", DateTime(timezone=True), nullable=False),
            Column("about", Uuid),
            Index("answers_answered_at_idx", "answered_at"),
        )
        # Which secrets each replica opens with, by their names, and since when it has no session (`roll_call.py`).
        self.replicas = Table(
            "replicas",
            metadata,
            Column("instance", Text, primary_key=True),
            Column("opens", ARRAY(Text), nullable=False),
            Column("missed_at", DateTime(timezone=True)),
        )


@cache
def chassis_tables(schema: str) -> ChassisTables:
    return ChassisTables(schema)


def grant_tables(connection: Any, schema: str) -> None:
    """Every table of the schema for its service role: all but the log may be changed. Ends a migration that made any.

    The log is append-only for the role `pager_<schema>`: INSERT and SELECT (promise 13).
    """
    role = f"pager_{schema}"
    for statement in (
        f"GRANT USAGE ON SCHEMA {schema} TO {role}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {schema}.stored_events, {schema}.epochs FROM {role}",
        f"REVOKE INSERT ON {schema}.epochs FROM {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
        f"REVOKE ALL ON {schema}.alembic_version FROM {role}",
        f"GRANT SELECT ON {schema}.alembic_version TO {role}",
    ):
        connection.execute(text(statement))
    # A database that somebody else has prepared may not know auditors yet.
    if connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": AUDITOR_ROLE}).scalar():
        for statement in auditor_grants(schema):
            connection.execute(text(statement))
