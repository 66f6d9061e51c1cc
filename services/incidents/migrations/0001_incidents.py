"""The log, and the read models of incidents and integrations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.migrations import chassis_0001
from libs.chassis.store.tables import grant_tables

revision = "0001"
down_revision = None

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)
_TABLES = (
    "incidents",
    "running_escalations",
    "dedup_keys",
    "seen_alerts",
    "integrations",
    "integration_keys",
    "timeline",
)


def upgrade() -> None:
    chassis_0001.upgrade(SCHEMA)
    _create_incidents()
    _create_alerts()
    _create_integrations()
    _create_timeline()
    op.execute(f"CREATE SEQUENCE {SCHEMA}.incident_number")
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.execute(f"DROP SEQUENCE {SCHEMA}.incident_number")
    for table in reversed(_TABLES):
        op.drop_table(table, schema=SCHEMA)
    chassis_0001.downgrade(SCHEMA)


def _create_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("assigned_to", sa.Uuid),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("view", JSONB, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("incidents_created_at_idx", "incidents", ["created_at", "id"], schema=SCHEMA)
    op.create_index("incidents_status_idx", "incidents", ["status", "created_at"], schema=SCHEMA)
    op.create_index("incidents_assigned_to_idx", "incidents", ["assigned_to", "created_at"], schema=SCHEMA)
    op.create_index("incidents_number_idx", "incidents", ["number"], unique=True, schema=SCHEMA)
    op.create_table(
        "running_escalations",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("next_at", _MOMENT),
        sa.Column("exhausted", sa.Boolean, nullable=False),
        sa.Column("assigned_to", sa.Uuid),
        schema=SCHEMA,
    )


def _create_alerts() -> None:
    op.create_table(
        "dedup_keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("incident_id", sa.Uuid, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("is_open", sa.Boolean, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "seen_alerts",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("seen_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    # Not BRIN: where old rows go and new ones take their places, every range of it soon covers all times.
    op.create_index("seen_alerts_age_idx", "seen_alerts", ["seen_at"], schema=SCHEMA)


def _create_integrations() -> None:
    op.create_table(
        "integrations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("policy_id", sa.Uuid),
        sa.Column("team_id", sa.Uuid),
        sa.Column("created_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "integration_keys",
        sa.Column("key_hash", sa.Text, primary_key=True),
        sa.Column("integration_id", sa.Uuid, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )


def _create_timeline() -> None:
    op.create_table(
        "timeline",
        sa.Column("event_id", sa.Uuid, primary_key=True),
        sa.Column("incident_id", sa.Uuid, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("actor", JSONB, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("causation_id", sa.Uuid),
        sa.Column("user_ids", sa.ARRAY(sa.Uuid), nullable=False),
        sa.Column("detail", JSONB, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("timeline_incident_idx", "timeline", ["incident_id", "at"], schema=SCHEMA)
