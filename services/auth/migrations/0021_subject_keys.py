"""Personal texts are sealed under a key of each person, and found by keyed hashes."""

import sqlalchemy as sa
from alembic import op

from libs.chassis.store.tables import grant_tables

revision = "0021"
down_revision = "0020"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "subject_keys",
        sa.Column("subject", sa.Uuid, primary_key=True),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("sealed_by", sa.Text),
        sa.Column("made_at", _MOMENT, nullable=False, server_default=sa.func.now()),
        sa.Column("destroyed_at", _MOMENT),
        schema=SCHEMA,
    )
    op.create_table(
        "addresses",
        sa.Column("hash", sa.LargeBinary, primary_key=True),
        sa.Column("user_id", sa.Uuid, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("addresses_user_id_key", "addresses", ["user_id"], unique=True, schema=SCHEMA)
    op.create_table(
        "invited_addresses",
        sa.Column("invite_id", sa.Uuid, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("invited_addresses_hash_idx", "invited_addresses", ["hash"], schema=SCHEMA)
    op.create_table(
        "push_tokens",
        sa.Column("device", sa.Uuid, primary_key=True),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("push_tokens_hash_idx", "push_tokens", ["hash"], schema=SCHEMA)
    # The columns stay texts, so that code from before goes on: what it writes is clear, and is read as it is.
    op.alter_column("devices", "token_hash", nullable=True, schema=SCHEMA)
    op.drop_index("devices_token_hash_key", "devices", schema=SCHEMA)
    op.drop_index("users_email_key", "users", schema=SCHEMA)
    op.drop_index("users_name_idx", "users", schema=SCHEMA)
    op.drop_index("invites_email_idx", "invites", schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.create_index("invites_email_idx", "invites", ["email"], schema=SCHEMA)
    op.create_index("users_name_idx", "users", ["last_name", "first_name", "id"], schema=SCHEMA)
    op.create_index("users_email_key", "users", [sa.text("lower(email)")], unique=True, schema=SCHEMA)
    # Of no token, and of none twice.
    op.execute("UPDATE auth.devices SET token_hash = sha256(id::text::bytea) WHERE token_hash IS NULL")
    op.alter_column("devices", "token_hash", nullable=False, schema=SCHEMA)
    op.create_index("devices_token_hash_key", "devices", ["token_hash"], unique=True, schema=SCHEMA)
    for table in ("push_tokens", "invited_addresses", "addresses", "subject_keys"):
        op.drop_table(table, schema=SCHEMA)
