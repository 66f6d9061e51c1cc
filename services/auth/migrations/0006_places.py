"""A session knows whence it was used last, as a hash: whoever keeps step with a phone from elsewhere is noticed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SCHEMA = "auth"


def upgrade() -> None:
    # Code from before writes neither: of what it renews nothing is said, or the place of the refresh before.
    op.add_column("sessions", sa.Column("used_from", sa.LargeBinary), schema=SCHEMA)
    op.add_column("sessions", sa.Column("apart", sa.SmallInteger, nullable=False, server_default="0"), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("sessions", "apart", schema=SCHEMA)
    op.drop_column("sessions", "used_from", schema=SCHEMA)
