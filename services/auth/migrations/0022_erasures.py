"""Who was erased, which ledger says so as well, and whom kept answers are about."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.migrations import chassis_0005
from libs.chassis.store.tables import grant_tables

revision = "0022"
down_revision = "0021"

SCHEMA = "auth"


def upgrade() -> None:
    chassis_0005.upgrade(SCHEMA)
    op.create_table(
        "erased",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table("ledgers", sa.Column("id", sa.Uuid, primary_key=True), schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("ledgers", schema=SCHEMA)
    op.drop_table("erased", schema=SCHEMA)
    chassis_0005.downgrade(SCHEMA)
