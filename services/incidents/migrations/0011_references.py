"""Whom and what there is of other services is known, so that requests cannot name anybody or anything else."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0011"
down_revision = "0010"

SCHEMA = "incidents"
_TABLES = ("people", "policies")


def upgrade() -> None:
    for table in _TABLES:
        op.create_table(table, sa.Column("id", sa.Uuid, primary_key=True), schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)
