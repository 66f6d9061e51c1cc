"""The notifier's log, read models, replicas and outbox."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.migrations import chassis_0001
from libs.chassis.store.tables import grant_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "notifier"
_MOMENT = sa.DateTime(timezone=True)
_TABLES = ("devices", "retired_tokens", "stopped", "paging", "notifications", "attempts", "outbox")


def upgrade() -> None:
    chassis_0001.upgrade(SCHEMA)
    _create_replicas()
    _create_notifications()
    _create_outbox()
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table, schema=SCHEMA)
    chassis_0001.downgrade(SCHEMA)


def _create_replicas() -> None:
    op.create_table(
        "devices",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("push_token", sa.Text, nullable=False),
        sa.Column("registered_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "retired_tokens",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("dead_at", _MOMENT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "stopped",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "paging",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        schema=SCHEMA,
    )


def _create_notifications() -> None:
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("incident_id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("method_id", sa.Text, nullable=False),
        sa.Column("method_kind", sa.Text, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("paging_since", _MOMENT, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("priority", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("notifications_incident_id_idx", "notifications", ["incident_id"], schema=SCHEMA)
    op.create_table(
        "attempts",
        sa.Column("notification_id", sa.Uuid, primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("vendor_id", sa.Text),
        schema=SCHEMA,
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("notification_id", sa.Uuid, primary_key=True),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("deadline", _MOMENT, nullable=False),
        sa.Column("correlation_id", sa.Uuid, nullable=False),
        sa.Column("causation_id", sa.Uuid, nullable=False),
        sa.Column("traceparent", sa.Text),
        schema=SCHEMA,
    )
    op.create_index("outbox_next_idx", "outbox", ["provider", "lane", "due_at"], schema=SCHEMA)
    op.create_index("outbox_due_at_idx", "outbox", ["due_at"], schema=SCHEMA)
    # Short-lived rows that are looked at all the time: vacuum them often.
    op.execute(f"ALTER TABLE {SCHEMA}.outbox SET (autovacuum_vacuum_scale_factor = 0.05, fillfactor = 70)")
