"""Keys: those that seal and sign, and machines'."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Integer, LargeBinary, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.auth.tables.schema import kept, metadata

# Each under the master key; where it was destroyed its row stays, so that it is never made again.
subject_keys = Table(
    "subject_keys",
    kept,
    Column("subject", Uuid, primary_key=True),
    Column("sealed", LargeBinary),
    Column("sealed_by", Text),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("destroyed_at", DateTime(timezone=True)),
)

# `owner_id`: whose rights it has, within its scopes. None: it is its team's.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("team_id", Uuid),
    Column("made_by", Uuid, nullable=False),
    Column("owner_id", Uuid),
    Column("expires_at", DateTime(timezone=True)),
    Column("version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("api_keys_created_at_idx", "created_at", "id"),
    Index("api_keys_owner_id_idx", "owner_id"),
    Index("api_keys_team_id_idx", "team_id"),
)

# What machines show. `session_id`: which session the tokens are of that it is exchanged for now.
api_key_secrets = Table(
    "api_key_secrets",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("key_id", Uuid, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("session_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("last_used_at", DateTime(timezone=True)),
    Index("api_key_secrets_hash_key", "hash", unique=True),
    Index("api_key_secrets_key_id_idx", "key_id"),
    Index("api_key_secrets_session_id_idx", "session_id"),
)

signing_keys = Table(
    "signing_keys",
    kept,
    Column("kid", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    # It signs from then on (None: since it was made), and verifies until then (None: it has no successor).
    Column("not_before", DateTime(timezone=True)),
    Column("not_after", DateTime(timezone=True)),
    # The name of the master key (`services.auth.sealing`); None: code from before has sealed it.
    Column("sealed_by", Text),
)

# Keys of ours that last for ever.
sealed_secrets = Table(
    "sealed_secrets",
    kept,
    Column("name", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_by", Text),
)

# The one that goes with this database: a backup without it must not be started, and it not with another one's.
ledgers = Table("ledgers", kept, Column("id", Uuid, primary_key=True))
