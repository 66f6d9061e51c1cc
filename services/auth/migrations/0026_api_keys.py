"""API keys, and hashes of what machines show for them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from libs.chassis.store.tables import grant_tables

revision = "0026"
down_revision = "0025"

SCHEMA = "auth"
_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("team_id", sa.Uuid),
        sa.Column("made_by", sa.Uuid, nullable=False),
        sa.Column("owner_id", sa.Uuid),
        sa.Column("expires_at", _MOMENT),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("updated_at", _MOMENT, nullable=False),
        schema=SCHEMA,
    )
    op.create_index("api_keys_created_at_idx", "api_keys", ["created_at", "id"], schema=SCHEMA)
    op.create_index("api_keys_owner_id_idx", "api_keys", ["owner_id"], schema=SCHEMA)
    op.create_index("api_keys_team_id_idx", "api_keys", ["team_id"], schema=SCHEMA)
    op.create_table(
        "api_key_secrets",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("key_id", sa.Uuid, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("session_id", sa.Uuid, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("last_used_at", _MOMENT),
        schema=SCHEMA,
    )
    op.create_index("api_key_secrets_hash_key", "api_key_secrets", ["hash"], unique=True, schema=SCHEMA)
    op.create_index("api_key_secrets_key_id_idx", "api_key_secrets", ["key_id"], schema=SCHEMA)
    op.create_index("api_key_secrets_session_id_idx", "api_key_secrets", ["session_id"], schema=SCHEMA)
    grant_tables(op.get_bind(), SCHEMA)


def downgrade() -> None:
    op.drop_table("api_key_secrets", schema=SCHEMA)
    op.drop_table("api_keys", schema=SCHEMA)
