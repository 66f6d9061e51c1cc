"""Auth's tables, and what each event writes to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    false,
    func,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from libs.chassis.store.audit import audit_table, audited
from libs.chassis.store.changes import Change, Gone, Patch, Row
from libs.chassis.store.personal import PersonalText
from libs.contracts.api_keys import (
    ApiKeyChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeySecretAdded,
    ApiKeySecretRemoved,
    ApiKeyTakenOver,
)
from libs.contracts.auth import (
    DeviceRegistered,
    DeviceRemoved,
    EmailVerified,
    PasswordChanged,
    RolesChanged,
    SessionEnded,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Actor, ActorKind, Envelope
from libs.contracts.erasure import InviteErased, PersonErased
from libs.contracts.invites import (
    InviteAccepted,
    InviteIssued,
    InviteResent,
    InviteRevoked,
    InviteStatus,
)
from libs.contracts.maintenance import MaintenanceChanged
from libs.contracts.oidc import IdentityLinked, IdentityUnlinked
from libs.contracts.teams import TeamChanged, TeamCreated, TeamDeleted, TeamMembershipChanged

metadata = MetaData(schema="auth")
"""Projections of the log: a rebuild may empty and refill them."""

kept = MetaData(schema="auth")
"""Secrets and their hashes, which are in no event (promise 2): a rebuild must leave them alone."""

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

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("message", Text),
    Column("until", DateTime(timezone=True)),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)
"""One row, once it was on."""

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

audit = audit_table(metadata)
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

# Who was erased: what the ledger is held against (`erasing.py`).
erased = Table(
    "erased",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("erased_at", DateTime(timezone=True), nullable=False),
)

passwords = Table(
    "passwords",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", DateTime(timezone=True), nullable=False),
)

# Those before the present one, of which a new one must be none (`passwords.LAST`).
former_passwords = Table(
    "former_passwords",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("hash", Text, primary_key=True),
    Column("replaced_at", DateTime(timezone=True), nullable=False),
)

# Wrong passwords by account and place, both as HMACs; nobody's accounts too (`guesses.py`).
guesses = Table(
    "guesses",
    kept,
    Column("account", LargeBinary, primary_key=True),
    Column("place", LargeBinary, primary_key=True),
    Column("wrong", SmallInteger, nullable=False),
    Column("under_way", SmallInteger, nullable=False),
    Column("tried_at", DateTime(timezone=True)),
    Column("lockouts", SmallInteger, nullable=False),
    Column("locked_until", DateTime(timezone=True)),
    Column("right_at", DateTime(timezone=True)),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("guesses_forget_at_idx", "forget_at"),
)

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

# Of one that is not confirmed nobody is asked for a code. `sealed`: its secret, under the master key.
second_factors = Table(
    "second_factors",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("sealed_by", Text),
    Column("made_at", DateTime(timezone=True), nullable=False),
    Column("confirmed_at", DateTime(timezone=True)),
    # The step of the last code that was good: none is good twice.
    Column("used_step", BigInteger),
    # Wrong codes after the right password, of the last hour.
    Column("wrong", SmallInteger, nullable=False, server_default="0"),
    Column("wrong_at", DateTime(timezone=True)),
)

recovery_codes = Table(
    "recovery_codes",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("hash", LargeBinary, primary_key=True),
)

# `subject` is whose invite, or which person's. `mailed`: it was sent to their address, and shown to nobody else.
links = Table(
    "links",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("mailed", Boolean, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("links_subject_idx", "subject"),
    Index("links_expires_at_idx", "expires_at"),
)

# What is to be sent: neither whereto nor which token, both of which are known when it is (`mailing.py`).
mails = Table(
    "mails",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Column("give_up_at", DateTime(timezone=True), nullable=False),
    Index("mails_next_at_idx", "next_at"),
    Index("mails_subject_idx", "subject"),
)

# Solutions that were used: each is good once.
captchas = Table(
    "captchas",
    kept,
    Column("hash", LargeBinary, primary_key=True),
    Column("forget_at", DateTime(timezone=True), nullable=False),
    Index("captchas_forget_at_idx", "forget_at"),
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

# Each request at the gateway, for 90 days: what is clear in here is nowhere else. `id` grows with time.
access_log = Table(
    "access_log",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("method", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("ms", Float, nullable=False),
    Column("user_id", Uuid),
    Column("key_id", Uuid),
    Column("ip_address", Text),
    Column("user_agent", Text),
    Column("request_id", Text, nullable=False),
    Index("access_log_at_idx", "at", "id"),
    Index("access_log_user_idx", "user_id", "at", "id"),
    Index("access_log_request_idx", "request_id"),
)

# Which countries somebody has signed in from within a year.
countries = Table(
    "countries",
    kept,
    Column("user_id", Uuid, primary_key=True),
    Column("country", Text, primary_key=True),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Index("countries_last_at_idx", "last_at"),
)

# What is to be mailed of security events: to whom and about whom, and not what it says.
notices = Table(
    "notices",
    kept,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("recipient", Uuid, nullable=False),
    Column("person", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("next_at", DateTime(timezone=True), nullable=False),
    Index("notices_next_at_idx", "next_at"),
)

# When somebody was last mailed of a kind of event; whoever makes many of them fills no mailbox.
noticed = Table(
    "noticed",
    kept,
    Column("kind", Text, primary_key=True),
    Column("whom", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("noticed_at_idx", "at"),
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


def user_row(event: Envelope[UserRegistered]) -> dict[str, Any]:
    fact = event.data
    return {
        "id": fact.user_id,
        "email": fact.email,
        "first_name": fact.first_name,
        "last_name": fact.last_name,
        "phone": fact.phone,
        "timezone": fact.timezone,
        "roles": [str(role) for role in fact.roles],
        "created_at": event.time,
        "is_active": True,
        "version": 1,
        "updated_at": None,
        "roles_given_by": None,
        "roles_given_at": None,
        "roles_version": 0,
        "email_verified": False,
    }


def invite_row(event: Envelope[InviteIssued]) -> dict[str, Any]:
    fact = event.data
    return {
        "id": fact.invite_id,
        "email": fact.email,
        "roles": [str(role) for role in fact.roles],
        "team_ids": list(fact.team_ids),
        "status": str(InviteStatus.OPEN),
        "invited_by": UUID(event.actor.id) if event.actor.kind is ActorKind.USER else None,
        "user_id": None,
        "created_at": event.time,
        "expires_at": fact.expires_at,
    }


def _changed(event: Envelope[Any], version: int) -> Patch:
    fact = event.data
    row = {"id": fact.user_id, "version": version, "updated_at": event.time}
    match fact:
        case UserChanged():
            names = {"first_name": fact.first_name, "last_name": fact.last_name}
            row |= names | {"phone": fact.phone, "timezone": fact.timezone}
        case RolesChanged():
            given = {"roles_given_by": _person(fact.by), "roles_given_at": fact.at}
            row |= given | {"roles": [str(role) for role in fact.roles], "roles_version": fact.version}
        case TeamMembershipChanged():
            row |= {"roles_version": fact.version}
        case PasswordChanged():
            row |= {"roles_version": fact.version} if fact.version is not None else {}
        case EmailVerified():
            row |= {"email_verified": True}
        case _:
            row |= {"is_active": isinstance(fact, UserReactivated)}
    return Patch(users, row)


def _membership(fact: TeamMembershipChanged) -> Change:
    key = {"user_id": fact.user_id, "team_id": fact.team_id}
    if fact.role is None:
        return Gone(memberships, key)
    return Row(memberships, key | {"role": str(fact.role), "since": fact.at})


def team_row(event: Envelope[TeamCreated]) -> dict[str, Any]:
    fact = event.data
    return {
        "id": fact.team_id,
        "name": fact.name,
        "description": fact.description,
        "version": 1,
        "created_by": event.actor.id,
        "created_at": event.time,
        "updated_at": event.time,
    }


def _api_key(event: Envelope[Any], state: Any) -> Change:
    fact = event.data
    if isinstance(fact, ApiKeyRevoked):
        return Gone(api_keys, {"id": fact.key_id})
    row = {"id": fact.key_id, "version": event.version, "updated_at": event.time, "name": state.name}
    row |= {"scopes": list(state.scopes), "owner_id": state.owner, "expires_at": state.expires_at}
    if isinstance(fact, ApiKeyCreated):
        return Row(api_keys, row | {"team_id": fact.team_id, "made_by": fact.made_by, "created_at": event.time})
    return Patch(api_keys, row)


def _person(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.kind is ActorKind.USER else None


@audited(audit)
def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """The rows of one event."""
    fact = event.data
    match fact:
        case UserRegistered():
            return [Row(users, user_row(event))]
        case UserChanged() | RolesChanged() | UserDeactivated() | UserReactivated():
            return [_changed(event, state.version)]
        case EmailVerified() | PasswordChanged():
            return [_changed(event, state.version)]
        case TeamMembershipChanged():
            return [_changed(event, state.version), _membership(fact)]
        case TeamCreated():
            return [Row(teams, team_row(event))]
        case TeamChanged():
            named = {"name": fact.name, "description": fact.description}
            return [Patch(teams, {"id": fact.team_id, "version": state.version, "updated_at": event.time} | named)]
        case TeamDeleted():
            return [Gone(teams, {"id": fact.team_id})]
        case MaintenanceChanged():
            said = fact.model_dump(include={"enabled", "message", "until"})
            who = {"changed_by": event.actor.to_json().decode(), "changed_at": event.time}
            return [Row(maintenance, {"id": fact.maintenance_id} | said | who)]
        case PersonErased(user_id=user_id, at=at):
            return [Gone(users, {"id": user_id}), Row(erased, {"user_id": user_id, "erased_at": at})]
        case InviteErased(invite_id=invite_id):
            return [Gone(invites, {"id": invite_id})]
        case InviteIssued():
            return [Row(invites, invite_row(event))]
        case InviteResent():
            return [Patch(invites, {"id": fact.invite_id, "expires_at": fact.expires_at})]
        case InviteRevoked():
            return [Patch(invites, {"id": fact.invite_id, "status": str(InviteStatus.REVOKED)})]
        case InviteAccepted():
            accepted = {"status": str(InviteStatus.ACCEPTED), "user_id": fact.user_id}
            return [Patch(invites, {"id": fact.invite_id} | accepted)]
        case (
            ApiKeyCreated()
            | ApiKeyChanged()
            | ApiKeySecretAdded()
            | ApiKeySecretRemoved()
            | ApiKeyTakenOver()
            | ApiKeyRevoked()
        ):
            return [_api_key(event, state)]
        case DeviceRegistered():
            return [
                Row(
                    devices,
                    {
                        "id": event.entity,
                        "user_id": fact.user_id,
                        "device_id": fact.device_id,
                        "name": fact.name,
                        "platform": str(fact.platform),
                        "registered_at": fact.registered_at,
                    },
                )
            ]
        case DeviceRemoved():
            return [Gone(devices, {"id": event.entity}), Gone(push_tokens, {"device": event.entity})]
        case IdentityLinked():
            row = {"id": fact.identity_id, "user_id": fact.user_id, "issuer": fact.issuer, "linked_at": event.time}
            return [Row(identities, row)]
        case IdentityUnlinked():
            return [Gone(identities, {"id": fact.identity_id})]
        case SessionEnded():
            return [Gone(sessions, {"id": fact.session_id})]
        case _:
            return []
