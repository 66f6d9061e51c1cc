"""From where people act is sealed, and escalation keeps the keys of those who do."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0010"
down_revision = "0008"

SCHEMA = "escalation"


def upgrade() -> None:
    op.create_table(
        "person_keys",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("sealed_by", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("person_keys", schema=SCHEMA)
