"""A cancellation says of which schedule, so that all of a schedule can go without knowing its overrides."""

from alembic import op
from sqlalchemy import Column, Uuid

revision = "0008"
down_revision = "0007"

SCHEMA = "oncall"


def upgrade() -> None:
    # Empty where the release before this one, which may still run, writes them.
    op.add_column("cancellations", Column("schedule_id", Uuid), schema=SCHEMA)
    op.execute(
        "UPDATE oncall.cancellations c SET schedule_id = o.schedule_id"
        " FROM oncall.overrides o WHERE o.id = c.override_id"
    )
    op.create_index("cancellations_schedule_idx", "cancellations", ["schedule_id"], schema=SCHEMA)


def downgrade() -> None:
    op.drop_index("cancellations_schedule_idx", table_name="cancellations", schema=SCHEMA)
    op.drop_column("cancellations", "schedule_id", schema=SCHEMA)
