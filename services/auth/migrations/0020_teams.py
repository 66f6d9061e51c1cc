"""Teams, and who is in them."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0020"
down_revision = "0014"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Code from before writes it, and nobody reads it.
    op.alter_column("users", "team_ids", server_default="{}", schema=SCHEMA)
    op.create_table(
        "teams",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("teams_name_idx", "teams", ["name", "id"], schema=SCHEMA)
    op.create_index("teams_lower_name_idx", "teams", [sa.text("lower(name)")], schema=SCHEMA)
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("team_id", sa.Uuid, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("memberships_team_idx", "memberships", ["team_id", "since", "user_id"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("memberships", schema=SCHEMA)
    op.drop_table("teams", schema=SCHEMA)
    op.alter_column("users", "team_ids", server_default=None, schema=SCHEMA)
