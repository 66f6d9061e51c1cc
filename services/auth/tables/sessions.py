"""Where somebody is signed in, and with what they go on."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    false,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.personal import PersonalText
from services.auth.tables.schema import kept

sessions = Table(
    "sessions",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("family_hash", LargeBinary, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("sessions_user_id_idx", "user_id"),
    # Both None where code from before has begun it. It is used by signing in and by each new refresh token.
    Column("device_name", PersonalText("user_id")),
    Column("used_at", DateTime(timezone=True)),
    # Whence the present token was asked for; None: nobody has said it, or it was from two places.
    Column("used_from", LargeBinary),
    # How many refreshes in a row were asked for from two places.
    Column("apart", SmallInteger, nullable=False, server_default="0"),
    # What its owner is told of it, to tell one from another; the networks are coarse, and go with it.
    Column("platform", Text),
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("began_from", PersonalText("user_id")),
    Column("last_from", PersonalText("user_id")),
    # The public key, as a JWK, of the device that alone may renew it; None: the device has none.
    Column("device_key", JSONB),
    # A browser holds its refresh token in a cookie; then it expires when nobody has asked for anything for a while.
    Column("is_web", Boolean, nullable=False, server_default=false()),
)

# Proofs by devices' keys, each of which is good once (`proofs.py`). `issued_at` is in seconds, by the device's clock.
used_proofs = Table(
    "used_proofs",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("issued_at", BigInteger, nullable=False),
    Column("used_at", DateTime(timezone=True), nullable=False),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("used_proofs_forget_at_idx", "forget_at"),
)

# Access tokens that were given up, until they end.
revoked_tokens = Table(
    "revoked_tokens",
    kept,
    Column("token_id", Uuid, primary_key=True),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("revoked_tokens_forget_at_idx", "forget_at"),
)

# What outlives a device's session (`device_credentials.py`).
device_credentials = Table(
    "device_credentials",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("device_key", JSONB, nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Index("device_credentials_user_id_idx", "user_id"),
    Index("device_credentials_ends_at_idx", "ends_at"),
)

# With which keys somebody has signed in: their devices come before strangers (`known_devices.py`), and that is all.
known_keys = Table(
    "known_keys",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("thumbprint", LargeBinary, primary_key=True),
    Column("device_id", Text, nullable=False),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("known_keys_forget_at_idx", "forget_at"),
)

# With which apps fetch the session of somebody who has signed in at the provider; as hashes.
oidc_codes = Table(
    "oidc_codes",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("code_challenge", Text, nullable=False),
    Column("several_factors", Boolean, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("session_id", Uuid),
    Index("oidc_codes_user_id_idx", "user_id"),
    Index("oidc_codes_expires_at_idx", "expires_at"),
)
