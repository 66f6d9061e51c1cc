"""Overrides say who made them and can be cancelled; who has a device that can be paged is known."""

from alembic import op
from sqlalchemy import Column, DateTime, Text, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0005"
down_revision = "0004"

SCHEMA = "oncall"


def upgrade() -> None:
    # Empty where the release before this one, which may still run, writes them.
    op.add_column("overrides", Column("created_by", Uuid), schema=SCHEMA)
    op.add_column("overrides", Column("created_at", DateTime(timezone=True)), schema=SCHEMA)
    op.create_table(
        "cancellations",
        Column("override_id", Uuid, primary_key=True),
        Column("cancelled_by", Uuid),
        Column("cancelled_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "devices",
        Column("user_id", Uuid, primary_key=True),
        Column("device_id", Text, primary_key=True),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("devices", schema=SCHEMA)
    op.drop_table("cancellations", schema=SCHEMA)
    op.drop_column("overrides", "created_at", schema=SCHEMA)
    op.drop_column("overrides", "created_by", schema=SCHEMA)
