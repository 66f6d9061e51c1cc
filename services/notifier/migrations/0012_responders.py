"""Who was told of a team's incident is shown to that team, and to whom it has paged."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0012"
down_revision = "0010"

SCHEMA = "notifier"


def upgrade() -> None:
    op.create_table(
        "responders",
        sa.Column("incident_id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("responders", schema=SCHEMA)
