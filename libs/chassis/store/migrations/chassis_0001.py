"""The tables that every service has, as they were at first: part of each service's migration 0001.

A migration is history: it never follows the model. When the chassis changes its tables, it gets a `chassis_0002` with
the difference, and each service a migration of its own that calls it.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

_MOMENT = sa.DateTime(timezone=True)
_TABLES = ("stored_events", "epochs", "cursors", "timers", "parked", "answers")


def upgrade(schema: str) -> None:
    """The log with its own sequence, and what stands around it. `grant_tables` says what a service may do with them."""
    _create_log(schema)
    _create_progress(schema)
    _create_set_aside(schema)
    for statement in (
        f"CREATE SEQUENCE {schema}.stored_events_notification_id_seq OWNED BY {schema}.stored_events.notification_id",
        f"ALTER TABLE {schema}.stored_events ALTER COLUMN notification_id"
        f" SET DEFAULT nextval('{schema}.stored_events_notification_id_seq')",
        # Inserted once and never updated: only statistics must keep up, and freezing.
        f"ALTER TABLE {schema}.stored_events SET (autovacuum_analyze_scale_factor = 0.02,"
        " autovacuum_vacuum_insert_scale_factor = 0.2)",
        # Small and updated with every batch: vacuum them often, and leave room for updates in place.
        f"ALTER TABLE {schema}.cursors SET (fillfactor = 20, autovacuum_vacuum_threshold = 1000,"
        " autovacuum_vacuum_scale_factor = 0)",
        f"ALTER TABLE {schema}.timers SET (autovacuum_vacuum_scale_factor = 0.05)",
        f"INSERT INTO {schema}.epochs (epoch, after_position) VALUES (1, 0)",  # noqa: S608
    ):
        op.execute(statement)


def downgrade(schema: str) -> None:
    """Everything goes, the log with it: below 0001 there is no service."""
    for table in reversed(_TABLES):
        op.drop_table(table, schema=schema)


def _create_log(schema: str) -> None:
    op.create_table(
        "stored_events",
        sa.Column("originator_id", sa.Uuid, primary_key=True),
        sa.Column("originator_version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("notification_id", sa.BigInteger, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("recorded_at", _MOMENT, nullable=False),
        schema=schema,
    )
    columns = ["lane", "notification_id"]
    op.create_index("stored_events_lane_idx", "stored_events", columns, unique=True, schema=schema)
    name = "stored_events_recorded_at_idx"
    op.create_index(name, "stored_events", ["recorded_at"], schema=schema, postgresql_using="brin")
    op.create_table(
        "epochs",
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("after_position", sa.BigInteger, nullable=False),
        sa.Column("begun_at", _MOMENT, nullable=False, server_default=sa.text("now()")),
        schema=schema,
    )


def _create_progress(schema: str) -> None:
    op.create_table(
        "cursors",
        sa.Column("upstream", sa.Text, primary_key=True),
        sa.Column("lane", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("incarnation", sa.Text, nullable=False),
        schema=schema,
    )
    op.create_table(
        "timers",
        sa.Column("entity", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("due_at", _MOMENT, nullable=False),
        schema=schema,
    )
    op.create_index("timers_due_at_idx", "timers", ["due_at"], schema=schema)


def _create_set_aside(schema: str) -> None:
    op.create_table(
        "parked",
        sa.Column("id", sa.BigInteger, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("upstream", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
        sa.Column("parked_at", _MOMENT, nullable=False),
        sa.Column("alarmed_at", _MOMENT),
        schema=schema,
    )
    op.create_index("parked_entity_idx", "parked", ["upstream", "entity"], schema=schema)
    op.create_table(
        "answers",
        sa.Column("actor", sa.Text, primary_key=True),
        sa.Column("operation", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("body_hash", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.LargeBinary, nullable=False),
        sa.Column("answered_at", _MOMENT, nullable=False),
        schema=schema,
    )
    op.create_index("answers_answered_at_idx", "answers", ["answered_at"], schema=schema)
