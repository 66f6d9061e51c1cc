"""A session knows its device's name and when it was last used: to be told apart, and answered again for a moment."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

SCHEMA = "auth"


def upgrade() -> None:
    # Without them (a session from before, or one that code from before has begun) nothing is said or given again.
    op.add_column("sessions", sa.Column("device_name", sa.Text), schema=SCHEMA)
    op.add_column("sessions", sa.Column("used_at", sa.DateTime(timezone=True)), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("sessions", "used_at", schema=SCHEMA)
    op.drop_column("sessions", "device_name", schema=SCHEMA)
