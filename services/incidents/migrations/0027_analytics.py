"""What the numbers of incidents and people are made of: narrow rows, each by one event."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0027"
down_revision = "0026"

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)
_TABLES = ("incident_openings", "incident_turns", "fired_levels", "sent_pages", "time_zones")


def upgrade() -> None:
    op.create_table(
        "incident_openings",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("team_id", sa.Uuid, nullable=False),
        sa.Column("integration_id", sa.Uuid),
        sa.Column("priority", sa.Text, nullable=False),
        sa.Column("dedup_key", sa.Text),
        sa.Column("suppressed", sa.Boolean, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("incident_openings_created_at_idx", "incident_openings", ["created_at"], schema=SCHEMA)
    op.create_table(
        "incident_turns",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("run", sa.Integer),
        sa.Column("actor_kind", sa.Text),
        sa.Column("actor_id", sa.Text),
        sa.Column("priority", sa.Text),
        schema=SCHEMA,
    )
    op.create_table(
        "fired_levels",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("run", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("round", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "sent_pages",
        sa.Column("notification_id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("incident_id", sa.Uuid, nullable=False),
        sa.Column("team_id", sa.Uuid),
        sa.Column("run", sa.Integer),
        sa.Column("round", sa.Integer),
        sa.Column("level", sa.Integer),
        sa.Column("accepted_at", _MOMENT),
        schema=SCHEMA,
    )
    op.create_index(
        "sent_pages_accepted_at_idx",
        "sent_pages",
        ["accepted_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("accepted_at IS NOT NULL"),
    )
    op.create_table(
        "time_zones",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("since", _MOMENT, primary_key=True),
        sa.Column("timezone", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table, schema=SCHEMA)
