"""Who was reached lately is found without reading every attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "notifier"
INDEX = "attempts_accepted_idx"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # One that was interrupted leaves an index behind that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{INDEX}")
        op.create_index(
            INDEX,
            "attempts",
            ["provider", "credentials", "at"],
            schema=SCHEMA,
            postgresql_where=sa.text("outcome = 'accepted'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(INDEX, "attempts", schema=SCHEMA)
