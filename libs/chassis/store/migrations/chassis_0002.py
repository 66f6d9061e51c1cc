"""The log has the slot of each event as a column: part of each service's migration 0002.

A constant default is no rewrite of the table: events that were stored before have slot 0, as their bytes say.
"""

import sqlalchemy as sa
from alembic import op


def upgrade(schema: str) -> None:
    slot = sa.Column("slot", sa.SmallInteger, nullable=False, server_default=sa.text("0"))
    op.add_column("stored_events", slot, schema=schema)


def downgrade(schema: str) -> None:
    op.drop_column("stored_events", "slot", schema=schema)
