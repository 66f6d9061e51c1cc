"""Schedules can be deleted where no policy pages them."""

from alembic import op
from sqlalchemy import ARRAY, Column, Text, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0007"
down_revision = "0005"

SCHEMA = "oncall"


def upgrade() -> None:
    op.create_table(
        "policies",
        Column("id", Uuid, primary_key=True),
        Column("name", Text, nullable=False),
        Column("schedule_ids", ARRAY(Uuid), nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("policies", schema=SCHEMA)
