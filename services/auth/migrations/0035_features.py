"""For whom features are switched on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from libs.chassis.store.tables import grant_tables

revision = "0035"
down_revision = "0034"

SCHEMA = "auth"


def upgrade() -> None:
    op.create_table(
        "features",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("flag", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("percentage", sa.SmallInteger),
        sa.Column("user_ids", postgresql.ARRAY(sa.Uuid), nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("features", schema=SCHEMA)
