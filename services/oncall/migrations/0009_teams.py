"""Schedules belong to teams; which of these there are."""

from alembic import op
from sqlalchemy import Column, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0009"
down_revision = "0008"

SCHEMA = "oncall"


def upgrade() -> None:
    op.add_column("schedules", Column("team_id", Uuid), schema=SCHEMA)
    op.create_index("schedules_team_idx", "schedules", ["team_id"], schema=SCHEMA)
    op.create_table("teams", Column("id", Uuid, primary_key=True), schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("teams", schema=SCHEMA)
    op.drop_index("schedules_team_idx", table_name="schedules", schema=SCHEMA)
    op.drop_column("schedules", "team_id", schema=SCHEMA)
