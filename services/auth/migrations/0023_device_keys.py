"""Sessions are bound to a device's key, and those of browsers end; device credentials, used proofs, revoked tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.tables import grant_tables

revision = "0023"
down_revision = "0022"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    # Code from before renews a bound session without a proof, and a browser's for as long as a phone's.
    op.add_column("sessions", sa.Column("device_key", JSONB), schema=SCHEMA)
    op.add_column("sessions", sa.Column("is_web", sa.Boolean, nullable=False, server_default=sa.false()), schema=SCHEMA)
    op.create_table(
        "used_proofs",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False),
        sa.Column("forget_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("used_proofs_forget_at_idx", "used_proofs", ["forget_at"], schema=SCHEMA)
    op.create_table(
        "device_credentials",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("user_id", sa.Uuid, nullable=False),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("device_key", JSONB, nullable=False),
        sa.Column("made_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("device_credentials_user_id_idx", "device_credentials", ["user_id"], schema=SCHEMA)
    op.create_index("device_credentials_ends_at_idx", "device_credentials", ["ends_at"], schema=SCHEMA)
    op.create_table(
        "known_keys",
        sa.Column("user_id", sa.Uuid, primary_key=True),
        sa.Column("thumbprint", sa.LargeBinary, primary_key=True),
        sa.Column("device_id", sa.Text, nullable=False),
        sa.Column("forget_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("known_keys_forget_at_idx", "known_keys", ["forget_at"], schema=SCHEMA)
    op.create_table(
        "revoked_tokens",
        sa.Column("token_id", sa.Uuid, primary_key=True),
        sa.Column("forget_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("revoked_tokens_forget_at_idx", "revoked_tokens", ["forget_at"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    for table in ("revoked_tokens", "known_keys", "device_credentials", "used_proofs"):
        op.drop_table(table, schema=SCHEMA)
    for column in ("is_web", "device_key"):
        op.drop_column("sessions", column, schema=SCHEMA)
