"""A notification says when it is to be sent, and for how many further pages it speaks."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "notifier"


def upgrade() -> None:
    op.add_column("notifications", sa.Column("not_before", sa.DateTime(timezone=True)), schema=SCHEMA)
    op.add_column("notifications", sa.Column("further", sa.Integer, nullable=False, server_default="0"), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("notifications", "further", schema=SCHEMA)
    op.drop_column("notifications", "not_before", schema=SCHEMA)
