"""The log, policies, running escalations, and the replicas of people and shifts."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from libs.chassis.store.migrations import chassis_0001
from libs.chassis.store.tables import grant_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "escalation"


def upgrade() -> None:
    chassis_0001.upgrade(SCHEMA)
    _create_read_models()
    _create_replicas()
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    for table in ("shifts", "schedules", "people", "escalations", "policies"):
        op.drop_table(table, schema=SCHEMA)
    chassis_0001.downgrade(SCHEMA)


def _moment(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_read_models() -> None:
    op.create_table(
        "policies",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("priority_filter", JSONB, nullable=False),
        sa.Column("repeat", sa.Integer, nullable=False),
        sa.Column("levels", JSONB, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        _moment("created_at"),
        _moment("updated_at"),
        schema=SCHEMA,
    )
    op.create_index("policies_name_idx", "policies", ["name", "id"], schema=SCHEMA)
    op.create_table(
        "escalations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("incident_id", sa.Uuid, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("policy_id", sa.Uuid),
        sa.Column("policy_version", sa.Integer),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        _moment("next_due_at", nullable=True),
        sa.Column("event_id", sa.Uuid, nullable=False),
        sa.Column("correlation_id", sa.Uuid, nullable=False),
        sa.Column("traceparent", sa.Text),
        _moment("updated_at"),
        schema=SCHEMA,
    )


def _create_replicas() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("people_roles_idx", "people", ["roles"], schema=SCHEMA, postgresql_using="gin")
    op.create_table(
        "schedules",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("plan_version", sa.Integer),
        schema=SCHEMA,
    )
    op.create_table(
        "shifts",
        sa.Column("schedule_id", sa.Uuid, primary_key=True),
        sa.Column("start_time", sa.DateTime(timezone=True), primary_key=True),
        _moment("end_time"),
        sa.Column("user_id", sa.Uuid, nullable=False),
        schema=SCHEMA,
    )
