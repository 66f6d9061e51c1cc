"""Alerts of an incident are things: rows where it has had several, and what became of each that was taken."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.tables import grant_tables

revision = "0021"
down_revision = "0018"

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("incident_id", sa.Uuid, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("labels", JSONB, nullable=False),
        sa.Column("links", JSONB, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("occurred_at", _MOMENT),
        sa.Column("resolved_at", _MOMENT),
        schema=SCHEMA,
    )
    op.create_index("alerts_incident_idx", "alerts", ["incident_id", "number"], schema=SCHEMA)
    op.create_table(
        "alert_repeats",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last_at", _MOMENT, nullable=False),
        sa.Column("last_incarnation", sa.Text),
        sa.Column("last_sequence", sa.BigInteger),
        sa.Column("unplaced_at", _MOMENT),
        schema=SCHEMA,
    )
    # Updated with every batch, as `repeats`.
    op.execute(f"ALTER TABLE {SCHEMA}.alert_repeats SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)")
    op.create_table(
        "late_outcomes",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("incarnation", sa.Text, primary_key=True),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("incident_id", sa.Uuid),
        sa.Column("at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("late_outcomes_age_idx", "late_outcomes", ["at"], schema=SCHEMA)
    op.add_column("taken_alerts", sa.Column("outcomes", sa.LargeBinary), schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_column("taken_alerts", "outcomes", schema=SCHEMA)
    op.drop_table("late_outcomes", schema=SCHEMA)
    op.drop_table("alert_repeats", schema=SCHEMA)
    op.drop_table("alerts", schema=SCHEMA)
