"""Policies belong to teams, and page them: which teams there are, and who is in them."""

from alembic import op
from sqlalchemy import Column, Text, Uuid

from libs.chassis.store.tables import grant_tables

revision = "0008"
down_revision = "0007"

SCHEMA = "escalation"


def upgrade() -> None:
    op.add_column("policies", Column("team_id", Uuid), schema=SCHEMA)
    op.create_index("policies_team_idx", "policies", ["team_id", "created_at", "id"], schema=SCHEMA)
    op.create_table("teams", Column("id", Uuid, primary_key=True), schema=SCHEMA)
    op.create_table(
        "memberships",
        Column("team_id", Uuid, primary_key=True),
        Column("user_id", Uuid, primary_key=True),
        Column("role", Text, nullable=False),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("memberships", schema=SCHEMA)
    op.drop_table("teams", schema=SCHEMA)
    op.drop_index("policies_team_idx", table_name="policies", schema=SCHEMA)
    op.drop_column("policies", "team_id", schema=SCHEMA)
