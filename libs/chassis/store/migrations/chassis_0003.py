"""The states of long entities are kept beside the log: part of a migration of each service."""

import sqlalchemy as sa
from alembic import op


def upgrade(schema: str) -> None:
    """`grant_tables` comes after it."""
    op.create_table(
        "snapshots",
        sa.Column("entity", sa.Uuid, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("slot", sa.SmallInteger, nullable=False),
        sa.Column("shape", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        schema=schema,
    )


def downgrade(schema: str) -> None:
    op.drop_table("snapshots", schema=schema)
