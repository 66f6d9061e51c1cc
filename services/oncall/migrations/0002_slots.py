"""The log has the slot of each event."""

from libs.chassis.store.migrations import chassis_0002

revision = "0002"
down_revision = "0001"

SCHEMA = "oncall"


def upgrade() -> None:
    chassis_0002.upgrade(SCHEMA)


def downgrade() -> None:
    chassis_0002.downgrade(SCHEMA)
