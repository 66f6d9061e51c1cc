"""Who has a device that can be paged is known: they are paged where nobody of a policy can be reached."""

from alembic import op
from sqlalchemy import Column, Text, Uuid

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
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("devices", schema=SCHEMA)
