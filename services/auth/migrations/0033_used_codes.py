"""A one-use code remembers the session that it has begun, which ends when it is shown again."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"

SCHEMA = "auth"


def upgrade() -> None:
    op.add_column("oidc_codes", sa.Column("session_id", sa.Uuid), schema=SCHEMA)


def downgrade() -> None:
    op.drop_column("oidc_codes", "session_id", schema=SCHEMA)
