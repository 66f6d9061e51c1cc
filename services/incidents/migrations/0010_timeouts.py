"""How long the level that is paged has: what the policy does, and not what an incident was created with."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

SCHEMA = "incidents"


def upgrade() -> None:
    # Not known of what runs already: until its next level fires, it shows what it showed before.
    op.add_column("running_escalations", sa.Column("timeout_minutes", sa.Float), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("running_escalations", "timeout_minutes", schema=SCHEMA)
