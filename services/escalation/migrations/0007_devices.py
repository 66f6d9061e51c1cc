"""Who has a device that can be paged is known: they are paged where nobody of a policy can be reached."""

from alembic import op
from sqlalchemy import Column, DateTime, Text, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0007"
down_revision = "0006"

SCHEMA = "escalation"


def upgrade() -> None:
    # Empty until `pager rebuild escalation` has told it of the devices from before.
    op.create_table(
        "devices",
        Column("user_id", Uuid, primary_key=True),
        Column("device_id", Text, primary_key=True),
        Column("added_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "retired_tokens",
        Column("user_id", Uuid, primary_key=True),
        Column("device_id", Text, primary_key=True),
        Column("dead_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("retired_tokens", schema=SCHEMA)
    op.drop_table("devices", schema=SCHEMA)
