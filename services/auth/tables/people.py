"""Who there is: people, their teams and devices, who was invited or erased, and by what they are found."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, Index, Integer, LargeBinary, Table, Text, Uuid, false, func, true
from sqlalchemy.dialects.postgresql import ARRAY

from libs.chassis.store.personal import PersonalText
from services.auth.tables.schema import kept, metadata

# No foreign keys between the two: a rebuild empties the one side only.
users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", PersonalText("id"), nullable=False),
    Column("first_name", PersonalText("id"), nullable=False),
    Column("last_name", PersonalText("id"), nullable=False),
    Column("phone", PersonalText("id")),
    Column("timezone", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    # Of code from before: `memberships` say it.
    Column("team_ids", ARRAY(Uuid), nullable=False, server_default="{}"),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("version", Integer, nullable=False, server_default="1"),
    # None: nothing was changed since the account was made.
    Column("updated_at", DateTime(timezone=True)),
    # Who gave the present roles, with the account or since; None: no person did.
    Column("roles_given_by", Uuid),
    Column("roles_given_at", DateTime(timezone=True)),
    # The version of the person that got them, came into a team, left it or chose another password: tokens of earlier
    # ones are refused.
    Column("roles_version", Integer, nullable=False, server_default="0"),
    Column("email_verified", Boolean, nullable=False, server_default=false()),
)

# That names are unique however their letters are written, the lock of their writers says (`teams.py`): a rebuild may
# write two changes of names in any order.
teams = Table(
    "teams",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("version", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("teams_name_idx", "name", "id"),
)

Index("teams_lower_name_idx", func.lower(teams.c.name))

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("team_id", Uuid, primary_key=True),
    Column("role", Text, nullable=False),
    # They came, or were given this role.
    Column("since", DateTime(timezone=True), nullable=False),
    Index("memberships_team_idx", "team_id", "since", "user_id"),
)

# The push token itself is in the log, for the notifier; what keeps it on one device is in `push_tokens`.
devices = Table(
    "devices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("name", PersonalText("user_id"), nullable=False),
    Column("platform", Text, nullable=False),
    # Code from before writes it.
    Column("token_hash", LargeBinary),
    Column("registered_at", DateTime(timezone=True), nullable=False),
    Index("devices_user_id_idx", "user_id"),
)

invites = Table(
    "invites",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", PersonalText("id"), nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("team_ids", ARRAY(Uuid), nullable=False),
    # Open, accepted or revoked; that it has expired is seen when it is read.
    Column("status", Text, nullable=False),
    Column("invited_by", Uuid),
    Column("user_id", Uuid),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("invites_created_at_idx", "created_at", "id"),
)

# By what people, invites and devices are found whose addresses and tokens are sealed: HMACs, which are in no event.
addresses = Table(
    "addresses",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Index("addresses_user_id_key", "user_id", unique=True),
)

invited_addresses = Table(
    "invited_addresses",
    kept,
    Column("invite_id", Uuid, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Index("invited_addresses_hash_idx", "hash"),
)

push_tokens = Table(
    "push_tokens",
    kept,
    Column("device", Uuid, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Index("push_tokens_hash_idx", "hash"),
)

# Accounts of an identity provider, by keyed hashes of their names there.
identities = Table(
    "identities",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("linked_at", DateTime(timezone=True), nullable=False),
    Index("identities_user_id_idx", "user_id"),
)

# Who was erased: what the ledger is held against (`erasing.py`).
erased = Table(
    "erased",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
)
