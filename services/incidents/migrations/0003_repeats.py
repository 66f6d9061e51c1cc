"""Repeats are counted in rows, and states of long entities are kept beside the log."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.migrations import chassis_0003
from libs.chassis.store.tables import grant_tables

revision = "0003"
down_revision = "0002"

SCHEMA = "incidents"


def upgrade() -> None:
    op.create_table(
        "repeats",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_incarnation", sa.Text),
        sa.Column("last_sequence", sa.BigInteger),
        schema=SCHEMA,
    )
    # Small, and updated with every batch: room for updates in place, and a vacuum before it grows.
    op.execute(f"ALTER TABLE {SCHEMA}.repeats SET (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)")
    chassis_0003.upgrade(SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    chassis_0003.downgrade(SCHEMA)
    op.drop_table("repeats", schema=SCHEMA)
