"""Names are sealed, and oncall keeps the keys of those whom it shows."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0011"
down_revision = "0009"

SCHEMA = "oncall"


def upgrade() -> None:
    # Code from before writes `name`, which is shown where the others are empty.
    op.alter_column("people", "name", server_default="", schema=SCHEMA)
    op.add_column("people", sa.Column("first_name", sa.Text), schema=SCHEMA)
    op.add_column("people", sa.Column("last_name", sa.Text), schema=SCHEMA)
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
    op.drop_column("people", "last_name", schema=SCHEMA)
    op.drop_column("people", "first_name", schema=SCHEMA)
    op.alter_column("people", "name", server_default=None, schema=SCHEMA)
