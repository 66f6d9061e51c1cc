"""Accounts of an identity provider, and the one-use codes with which apps fetch a session."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0025"
down_revision = "0024"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("linked_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("identities_user_id_idx", "identities", ["user_id"], schema=SCHEMA)
    op.create_table(
        "oidc_codes",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("code_challenge", sa.Text, nullable=False),
        sa.Column("several_factors", sa.Boolean, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("oidc_codes_user_id_idx", "oidc_codes", ["user_id"], schema=SCHEMA)
    op.create_index("oidc_codes_expires_at_idx", "oidc_codes", ["expires_at"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("oidc_codes", schema=SCHEMA)
    op.drop_table("identities", schema=SCHEMA)
