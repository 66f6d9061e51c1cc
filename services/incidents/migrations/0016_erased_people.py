"""It is known who was erased."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.migrations import chassis_0005

revision = "0016"
down_revision = "0015"

SCHEMA = "incidents"


def upgrade() -> None:
    chassis_0005.upgrade(SCHEMA)
    op.add_column("people", sa.Column("erased", sa.Boolean, nullable=False, server_default=sa.false()), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("people", "erased", schema=SCHEMA)
    chassis_0005.downgrade(SCHEMA)
