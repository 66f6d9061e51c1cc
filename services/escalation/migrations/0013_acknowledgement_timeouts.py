"""A policy may say how long an acknowledgement stands."""

from alembic import op
from sqlalchemy import Column, Float

revision = "0013"
down_revision = "0012"

SCHEMA = "escalation"


def upgrade() -> None:
    op.add_column("policies", Column("acknowledgement_timeout_minutes", Float), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("policies", "acknowledgement_timeout_minutes", schema=SCHEMA)
