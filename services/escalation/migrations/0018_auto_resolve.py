"""A policy may say after how long a quiet what is acknowledged is resolved."""

from alembic import op
from sqlalchemy import Column, Float

revision = "0018"
down_revision = "0017"

SCHEMA = "escalation"


def upgrade() -> None:
    op.add_column("policies", Column("auto_resolve_minutes", Float), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("policies", "auto_resolve_minutes", schema=SCHEMA)
