"""Each replica says which secrets it opens with."""

from libs.chassis.store.migrations import chassis_0006

revision = "0017"
down_revision = "0013"

SCHEMA = "escalation"


def upgrade() -> None:
    chassis_0006.upgrade(SCHEMA)


def downgrade() -> None:
    chassis_0006.downgrade(SCHEMA)
