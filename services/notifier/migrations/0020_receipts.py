"""What phones say of pages: each page's receipts, and when each device was last heard of."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0020"
down_revision = "0019"

SCHEMA = "notifier"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "receipts",
        sa.Column("notification_id", sa.Uuid, primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("seen_at", moment, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "last_receipts",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("device_id", sa.Text, primary_key=True),
        sa.Column("at", moment, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("last_receipts", schema=SCHEMA)
    op.drop_table("receipts", schema=SCHEMA)
