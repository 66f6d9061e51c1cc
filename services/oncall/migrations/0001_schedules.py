"""Schedules, overrides, planned shifts and the replica of people."""

from alembic import op

from libs.chassis.tables import create_chassis_tables, drop_chassis_tables, grant_tables
from services.oncall.projections import TABLES

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    create_chassis_tables(connection, "oncall")
    for table in TABLES:
        table.create(connection)
    grant_tables(connection, "oncall")


def downgrade() -> None:
    connection = op.get_bind()
    for table in reversed(TABLES):
        table.drop(connection)
    drop_chassis_tables(connection, "oncall")
