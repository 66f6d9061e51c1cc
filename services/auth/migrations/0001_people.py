"""People, devices, passwords, sessions and signing keys.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from libs.chassis.store.migrations import chassis_0001
from libs.chassis.store.tables import grant_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    chassis_0001.upgrade("auth")
    _create_projections()
    _create_kept()
    grant_tables(op.get_bind(), "auth")


def _create_projections() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("first_name", sa.Text, nullable=False),
        sa.Column("last_name", sa.Text, nullable=False),
        sa.Column("phone", sa.Text),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("roles", ARRAY(sa.Text), nullable=False),
        sa.Column("team_ids", ARRAY(sa.Uuid), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        schema="auth",
    )
    op.create_index("users_email_key", "users", [sa.text("lower(email)")], unique=True, schema="auth")
    op.create_table(
        "devices",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("token_hash", sa.LargeBinary, nullable=False),
        sa.Column("registered_at", _MOMENT, nullable=False),
        schema="auth",
    )
    op.create_index("devices_user_id_idx", "devices", ["user_id"], schema="auth")
    op.create_index("devices_token_hash_key", "devices", ["token_hash"], unique=True, schema="auth")


def _create_kept() -> None:
    op.create_table(
        "passwords",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("changed_at", _MOMENT, nullable=False),
        schema="auth",
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("family_hash", sa.LargeBinary, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        schema="auth",
    )
    op.create_index("sessions_user_id_idx", "sessions", ["user_id"], schema="auth")
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, primary_key=True),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("public_jwk", JSONB, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        schema="auth",
    )


def downgrade() -> None:
    for table in ("signing_keys", "sessions", "passwords", "devices", "users"):
        op.drop_table(table, schema="auth")
    chassis_0001.downgrade("auth")
