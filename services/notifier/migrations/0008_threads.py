"""A notification knows the thread of its incident: whose alerts fire and resolve in turn rings as often as others."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SCHEMA = "notifier"
INDEX = "notifications_thread_idx"


def upgrade() -> None:
    # Without it (code from before wrote it, or the first incident of a key) it is counted by its incident alone.
    op.add_column("notifications", sa.Column("thread", sa.Uuid), schema=SCHEMA, if_not_exists=True)
    with op.get_context().autocommit_block():
        # One that was interrupted leaves the column, and an index that nobody can use.
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {SCHEMA}.{INDEX}")
        op.create_index(
            INDEX,
            "notifications",
            ["thread", "created_at"],
            schema=SCHEMA,
            postgresql_where=sa.text("thread IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(INDEX, "notifications", schema=SCHEMA)
    op.drop_column("notifications", "thread", schema=SCHEMA)
