"""People change: their names and roles, and whether they are active."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # As somebody is who was never changed, also where code from before registers them.
    for column in (
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("updated_at", _MOMENT),
        sa.Column("roles_given_by", sa.Uuid),
        sa.Column("roles_given_at", _MOMENT),
        sa.Column("roles_version", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("users", column, schema=SCHEMA)


def downgrade() -> None:
    for name in ("roles_version", "roles_given_at", "roles_given_by", "updated_at", "version", "is_active"):
        op.drop_column("users", name, schema=SCHEMA)
