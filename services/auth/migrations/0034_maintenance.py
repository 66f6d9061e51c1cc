"""Whether people may change things now."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0034"
down_revision = "0033"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("until", _MOMENT),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("maintenance", schema=SCHEMA)
