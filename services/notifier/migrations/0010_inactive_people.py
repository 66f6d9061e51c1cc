"""Whoever is deactivated is paged on none of their devices."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0010"
down_revision = "0009"

SCHEMA = "notifier"


def upgrade() -> None:
    op.create_table("inactive", sa.Column("user_id", sa.Uuid, primary_key=True), schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("inactive", schema=SCHEMA)
