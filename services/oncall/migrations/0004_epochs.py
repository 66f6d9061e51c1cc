"""Epochs say why they were begun, and the service may begin one."""

from libs.chassis.store.migrations import chassis_0004

revision = "0004"
down_revision = "0003"

SCHEMA = "oncall"


def upgrade() -> None:
    chassis_0004.upgrade(SCHEMA)


def downgrade() -> None:
    chassis_0004.downgrade(SCHEMA)
