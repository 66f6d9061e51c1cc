"""Who is deactivated is told where an incident is assigned to them, and can be assigned to no new one."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

SCHEMA = "incidents"


def upgrade() -> None:
    column = sa.Column("active", sa.Boolean, nullable=False, server_default=sa.true())
    op.add_column("people", column, schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("people", "active", schema=SCHEMA)
