"""Triggers without a place are known by time: a kept answer closes none of them that may be newer than itself."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = "incidents"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("repeats", sa.Column("placed", sa.BigInteger, nullable=False, server_default="0"), schema=SCHEMA)
    op.add_column("repeats", sa.Column("unplaced_at", _MOMENT), schema=SCHEMA)
    # Whoever wrote a place wrote one with each repeat; the others had come by the time of the last one.
    op.execute(
        f"UPDATE {SCHEMA}.repeats SET placed = count,"  # noqa: S608 - our own schema
        " unplaced_at = CASE WHEN last_sequence IS NULL THEN last_at END"
    )
    op.add_column("kept_answers", sa.Column("fired_before", _MOMENT), schema=SCHEMA)
    op.create_index("kept_answers_order_idx", "kept_answers", ["sequence"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("kept_answers_order_idx", schema=SCHEMA)
    op.drop_column("kept_answers", "fired_before", schema=SCHEMA)
    op.drop_column("repeats", "unplaced_at", schema=SCHEMA)
    op.drop_column("repeats", "placed", schema=SCHEMA)
