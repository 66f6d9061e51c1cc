"""Incidents that are over have reviews."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.tables import grant_tables

revision = "0028"
down_revision = "0027"

SCHEMA = "incidents"


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("view", JSONB, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("reviews", schema=SCHEMA)
