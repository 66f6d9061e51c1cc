"""Each replica says which secrets it opens with: part of a migration of each service."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables


def upgrade(schema: str) -> None:
    op.create_table(
        "replicas",
        sa.Column("instance", sa.Text, primary_key=True),
        sa.Column("opens", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("missed_at", sa.DateTime(timezone=True)),
        schema=schema,
    )
    grant_tables(op.get_bind(), schema)


def downgrade(schema: str) -> None:
    op.drop_table("replicas", schema=schema)
