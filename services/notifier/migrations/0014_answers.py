"""A kept answer says whom or what it is about."""

from libs.chassis.store.migrations import chassis_0005

revision = "0014"
down_revision = "0013"

SCHEMA = "notifier"


def upgrade() -> None:
    chassis_0005.upgrade(SCHEMA)


def downgrade() -> None:
    chassis_0005.downgrade(SCHEMA)
