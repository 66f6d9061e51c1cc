"""Signing keys have ages, and what is sealed names the master key that sealed it."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0012"
down_revision = "0011"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Without them (a key from before, or one that code from before has made) it signs since it was made.
    op.add_column("signing_keys", sa.Column("not_before", _MOMENT), schema=SCHEMA)
    op.add_column("signing_keys", sa.Column("not_after", _MOMENT), schema=SCHEMA)
    op.add_column("signing_keys", sa.Column("sealed_by", sa.Text), schema=SCHEMA)
    op.create_table(
        "sealed_secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("sealed_by", sa.Text),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("sealed_secrets", schema=SCHEMA)
    for column in ("sealed_by", "not_after", "not_before"):
        op.drop_column("signing_keys", column, schema=SCHEMA)
