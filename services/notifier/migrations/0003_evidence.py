"""Attempts say with which credentials they were accepted, and it is kept of whom nobody could reach."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.tables import grant_tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "notifier"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("credentials", sa.Text), schema=SCHEMA)
    op.create_table(
        "unreachable",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("brief", JSONB, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("unreachable", schema=SCHEMA)
    op.drop_column("attempts", "credentials", schema=SCHEMA)
