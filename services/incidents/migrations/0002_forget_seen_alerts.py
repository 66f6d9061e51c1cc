"""The oldest identities of alerts are found by an index, to be forgotten.

A BRIN index fits rows that stay where they were appended; where old rows go and new ones take their places, every range
of it soon covers all times. Both are built and dropped concurrently: alerts go on being written.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_TABLE = "incidents.seen_alerts"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # An attempt that broke leaves an invalid index behind.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS incidents.seen_alerts_age_idx")
        op.execute(f"CREATE INDEX CONCURRENTLY seen_alerts_age_idx ON {_TABLE} (seen_at)")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS incidents.seen_alerts_seen_at_idx")


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS incidents.seen_alerts_seen_at_idx")
        op.execute(f"CREATE INDEX CONCURRENTLY seen_alerts_seen_at_idx ON {_TABLE} USING brin (seen_at)")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS incidents.seen_alerts_age_idx")
