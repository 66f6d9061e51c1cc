"""States of long entities are kept beside the log."""

from alembic import op

from libs.chassis.store.migrations import chassis_0003
from libs.chassis.store.tables import grant_tables

revision = "0003"
down_revision = "0002"

SCHEMA = "oncall"


def upgrade() -> None:
    chassis_0003.upgrade(SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    chassis_0003.downgrade(SCHEMA)
