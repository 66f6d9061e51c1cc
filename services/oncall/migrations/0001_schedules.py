"""Schedules, overrides, planned shifts and the replica of people."""

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, DateTime, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.migrations import chassis_0001
from libs.chassis.store.tables import grant_tables

revision = "0001"
down_revision = None

SCHEMA = "oncall"
TABLES = ("people", "schedules", "creations", "plans", "overrides", "shifts")


def upgrade() -> None:
    chassis_0001.upgrade(SCHEMA)
    _create_schedules()
    _create_calendar()
    grant_tables(op.get_bind(), SCHEMA)


def _create_schedules() -> None:
    op.create_table(
        "people",
        Column("user_id", Uuid, primary_key=True),
        Column("name", Text, nullable=False),
        Column("is_active", Boolean, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "schedules",
        Column("id", Uuid, primary_key=True),
        Column("name", Text, nullable=False),
        Column("description", Text),
        Column("timezone", Text, nullable=False),
        Column("is_active", Boolean, nullable=False),
        Column("layers", JSONB, nullable=False),
        Column("version", BigInteger, nullable=False),
        Column("updated_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "creations",
        Column("schedule_id", Uuid, primary_key=True),
        Column("created_by", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_index("creations_created_at_idx", "creations", ["created_at", "schedule_id"], schema=SCHEMA)


def _create_calendar() -> None:
    op.create_table(
        "plans",
        Column("schedule_id", Uuid, primary_key=True),
        Column("planned_from", DateTime(timezone=True), nullable=False),
        Column("planned_to", DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "overrides",
        Column("id", Uuid, primary_key=True),
        Column("schedule_id", Uuid, nullable=False),
        Column("user_id", Uuid, nullable=False),
        Column("start_time", DateTime(timezone=True), nullable=False),
        Column("end_time", DateTime(timezone=True), nullable=False),
        Column("replaces", Uuid),
        Column("added", BigInteger, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("overrides_schedule_idx", "overrides", ["schedule_id", "added"], schema=SCHEMA)
    op.create_table(
        "shifts",
        Column("schedule_id", Uuid, primary_key=True),
        Column("start_time", DateTime(timezone=True), primary_key=True),
        Column("end_time", DateTime(timezone=True), nullable=False),
        Column("user_id", Uuid, nullable=False),
        Column("layer", Integer, nullable=False),
        Column("is_override", Boolean, nullable=False),
        schema=SCHEMA,
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
    chassis_0001.downgrade(SCHEMA)
