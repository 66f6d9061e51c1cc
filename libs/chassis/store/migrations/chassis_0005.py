"""A kept answer says whom or what it is about, so that it can go with them: part of a migration of each service."""

import sqlalchemy as sa
from alembic import op


def upgrade(schema: str) -> None:
    # Empty where the release before this one, which may still run, writes them: they are a day old at most.
    op.add_column("answers", sa.Column("about", sa.Uuid), schema=schema)


def downgrade(schema: str) -> None:
    op.drop_column("answers", "about", schema=schema)
