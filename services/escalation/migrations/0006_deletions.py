"""Policies can be deleted where nothing runs them: by which incidents and integrations they are used is found."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0006"
down_revision = "0004"

SCHEMA = "escalation"
_INDEX = "escalations_running_policy_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{_INDEX}")
        op.create_index(
            _INDEX,
            "escalations",
            ["policy_id"],
            schema=SCHEMA,
            postgresql_where=sa.text("state IN ('waiting', 'exhausted')"),
            postgresql_concurrently=True,
        )
    op.create_table(
        "integrations",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("policy_id", sa.Uuid),
        schema=SCHEMA,
    )
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("integrations", schema=SCHEMA)
    op.drop_index(_INDEX, "escalations", schema=SCHEMA)
