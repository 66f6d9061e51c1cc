"""Auth's tables, what each event writes to them, and the queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    bindparam,
    exists,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from libs.chassis.store.changes import Change, Gone, Patch, Row
from libs.chassis.store.listing import Keyset, Listing
from libs.contracts.auth import (
    DeviceRegistered,
    DeviceRemoved,
    DeviceView,
    EmailVerified,
    HeldDevice,
    RolesChanged,
    SessionEnded,
    SessionView,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
    UserView,
)
from libs.contracts.envelope import Actor, ActorKind, Envelope
from libs.contracts.invites import (
    InviteAccepted,
    InviteIssued,
    InviteResent,
    InviteRevoked,
    InviteStatus,
    InviteView,
    LinkView,
)

metadata = MetaData(schema="auth")
"""Projections of the log: a rebuild may empty and refill them."""

kept = MetaData(schema="auth")
"""Secrets and their hashes, which are in no event (promise 2): a rebuild must leave them alone."""

# No foreign keys between the two: a rebuild empties the one side only.
users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("phone", Text),
    Column("timezone", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("team_ids", ARRAY(Uuid), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("is_active", Boolean, nullable=False, server_default=true()),
    Column("version", Integer, nullable=False, server_default="1"),
    # None: nothing was changed since the account was made.
    Column("updated_at", DateTime(timezone=True)),
    Column("roles_given_by", Uuid),
    Column("roles_given_at", DateTime(timezone=True)),
    # The version of the person that got them: tokens of earlier ones are refused.
    Column("roles_version", Integer, nullable=False, server_default="0"),
    Column("email_verified", Boolean, nullable=False, server_default=false()),
    Index("users_name_idx", "last_name", "first_name", "id"),
)
Index("users_email_key", func.lower(users.c.email), unique=True)

# The push token itself is in the log, for the notifier; here its hash is enough to keep it on one device.
devices = Table(
    "devices",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("device_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("registered_at", DateTime(timezone=True), nullable=False),
    Index("devices_user_id_idx", "user_id"),
    Index("devices_token_hash_key", "token_hash", unique=True),
)

invites = Table(
    "invites",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("team_ids", ARRAY(Uuid), nullable=False),
    # Open, accepted or revoked; that it has expired is seen when it is read.
    Column("status", Text, nullable=False),
    Column("invited_by", Uuid),
    Column("user_id", Uuid),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("invites_created_at_idx", "created_at", "id"),
    Index("invites_email_idx", "email"),
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
    Column("device_name", Text),
    Column("used_at", DateTime(timezone=True)),
    # Whence the present token was asked for; None: nobody has said it, or it was from two places.
    Column("used_from", LargeBinary),
    # How many refreshes in a row were asked for from two places.
    Column("apart", SmallInteger, nullable=False, server_default="0"),
    # What its owner is told of it, to tell one from another; the networks are coarse, and go with it.
    Column("platform", Text),
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("began_from", Text),
    Column("last_from", Text),
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


def token_hash(push_token: str) -> bytes:
    return sha256(push_token.encode()).digest()


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
        "team_ids": list(fact.team_ids),
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
        case EmailVerified():
            row |= {"email_verified": True}
        case _:
            row |= {"is_active": isinstance(fact, UserReactivated)}
    return Patch(users, row)


def _person(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.kind is ActorKind.USER else None


def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """The rows of one event."""
    fact = event.data
    match fact:
        case UserRegistered():
            return [Row(users, user_row(event))]
        case UserChanged() | RolesChanged() | UserDeactivated() | UserReactivated() | EmailVerified():
            return [_changed(event, state.version)]
        case InviteIssued():
            return [Row(invites, invite_row(event))]
        case InviteResent():
            return [Patch(invites, {"id": fact.invite_id, "expires_at": fact.expires_at})]
        case InviteRevoked():
            return [Patch(invites, {"id": fact.invite_id, "status": str(InviteStatus.REVOKED)})]
        case InviteAccepted():
            accepted = {"status": str(InviteStatus.ACCEPTED), "user_id": fact.user_id}
            return [Patch(invites, {"id": fact.invite_id} | accepted)]
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
                        "token_hash": token_hash(fact.push_token),
                        "registered_at": fact.registered_at,
                    },
                )
            ]
        case DeviceRemoved():
            return [Gone(devices, {"id": event.entity})]
        case SessionEnded():
            return [Gone(sessions, {"id": fact.session_id})]
        case _:
            return []


_HAS_DEVICE = exists().where(devices.c.user_id == users.c.id).label("has_device")
_PEOPLE = select(users, _HAS_DEVICE)
USER = _PEOPLE.where(users.c.id == bindparam("id", type_=Uuid))
USER_LOCKED = USER.with_for_update()
USER_BY_EMAIL = (
    select(users, _HAS_DEVICE, passwords.c.hash.label("password_hash"), passwords.c.changed_at)
    .join(passwords, passwords.c.user_id == users.c.id)
    .where(func.lower(users.c.email) == func.lower(bindparam("email", type_=Text)))
)
USER_WITH_PASSWORD = (
    select(users, _HAS_DEVICE, passwords.c.hash.label("password_hash"), passwords.c.changed_at)
    .join(passwords, passwords.c.user_id == users.c.id)
    .where(users.c.id == bindparam("id", type_=Uuid))
)
PASSWORD_OF = select(passwords).where(passwords.c.user_id == bindparam("user_id", type_=Uuid))
FORMER_PASSWORDS = (
    select(former_passwords)
    .where(former_passwords.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(former_passwords.c.replaced_at.desc(), former_passwords.c.hash)
)
GUESSES_OF = select(guesses).where(guesses.c.account == bindparam("account", type_=LargeBinary))
GUESSES_AT = GUESSES_OF.where(guesses.c.place == func.any(bindparam("places", type_=ARRAY(LargeBinary))))
GUESSES_FORGOTTEN = (
    select(guesses.c.account, guesses.c.place)
    .where(guesses.c.forget_at <= bindparam("now", type_=DateTime(timezone=True)))
    .order_by(guesses.c.forget_at)
    .limit(20)
    .with_for_update(skip_locked=True)
)
USERS = Listing(Keyset("users", (users.c.last_name, users.c.first_name, users.c.id)), _PEOPLE)
ADMINS = select(users.c.id).where(users.c.roles.contains(["admin"]), users.c.is_active).order_by(users.c.id).limit(2)
"""Two of those who are active, if there are so many: whether there is another one than somebody."""

SESSION_OF = (
    select(users.c.roles_version)
    .join(sessions, users.c.id == sessions.c.user_id)
    .where(sessions.c.id == bindparam("id", type_=Uuid), users.c.id == bindparam("user_id", type_=Uuid))
    .where(users.c.is_active)
)
SESSION_LOCKED = select(sessions).where(sessions.c.id == bindparam("id", type_=Uuid)).with_for_update()
# Locked as well, and in one order: a refresh locks its row before the append lock, so whoever ends sessions must too.
SESSIONS_OF_LOCKED = (
    select(sessions)
    .where(sessions.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(sessions.c.id)
    .with_for_update()
)
SESSIONS_LISTED = Listing(
    Keyset("sessions", (sessions.c.began_at, sessions.c.id)),
    select(sessions).where(
        sessions.c.user_id == bindparam("user_id", type_=Uuid),
        sessions.c.expires_at > bindparam("now", type_=DateTime(timezone=True)),
    ),
)

SECOND_FACTOR = select(second_factors).where(second_factors.c.user_id == bindparam("user_id", type_=Uuid))
# By their own sealing name they are few, or all of them once: when the master key has changed.
SECOND_FACTORS_OF_OTHERS = (
    select(second_factors)
    .where(second_factors.c.sealed_by.is_distinct_from(bindparam("name", type_=Text)))
    .order_by(second_factors.c.user_id)
)
RECOVERY_CODES = (
    select(recovery_codes)
    .where(recovery_codes.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(recovery_codes.c.hash)
)

DEVICES_OF = (
    select(devices)
    .where(devices.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(devices.c.registered_at, devices.c.id)
)
OWN_DEVICES = Listing(
    Keyset("devices", (devices.c.registered_at, devices.c.id)),
    select(devices).where(devices.c.user_id == bindparam("user_id", type_=Uuid)),
)
DEVICES_OF_TOKEN = select(devices).where(devices.c.token_hash == bindparam("token_hash", type_=LargeBinary))

INVITES_LIST = Listing(Keyset("invites", (invites.c.created_at, invites.c.id)), select(invites))
INVITE = select(invites).where(invites.c.id == bindparam("id", type_=Uuid))
INVITES_OPEN = select(invites).where(
    invites.c.email == bindparam("email", type_=Text),
    invites.c.status == str(InviteStatus.OPEN),
    invites.c.expires_at > bindparam("now", type_=DateTime(timezone=True)),
)

_LINKS = select(links).where(links.c.purpose == bindparam("purpose", type_=Text))
LINK_LOCKED = _LINKS.where(links.c.hash == bindparam("hash", type_=LargeBinary)).with_for_update()
_SUBJECT = bindparam("subject", type_=Uuid)
_NOW = bindparam("now", type_=DateTime(timezone=True))
MAILS_OF = (
    select(mails.c.id)
    .where(mails.c.purpose == bindparam("purpose", type_=Text), mails.c.subject == _SUBJECT)
    .order_by(mails.c.id)
    .with_for_update()
)
MAILS_DUE = (
    select(mails)
    .where(or_(mails.c.next_at <= _NOW, mails.c.next_at > bindparam("never", type_=DateTime(timezone=True))))
    .order_by(mails.c.next_at)
    .limit(bindparam("most", type_=BigInteger))
    .with_for_update(skip_locked=True)
)
MAILS_NEXT = select(mails.c.next_at).order_by(mails.c.next_at).limit(1)
MAILS_WAIT = select(mails.c.id).order_by(mails.c.next_at).offset(bindparam("most", type_=BigInteger)).limit(1)
# Locked, and in one order: whoever uses a link locks it before the append lock, so whoever ends links must too.
LINKS_OF = _LINKS.where(links.c.subject == _SUBJECT).order_by(links.c.hash).with_for_update()

SIGNING_KEYS = select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid)
SEALED_SECRETS = select(sealed_secrets).order_by(sealed_secrets.c.name)


def user_view(row: dict[str, Any], *, phone: bool = True) -> UserView:
    """`phone`: whether the reader may see the number."""
    return UserView(
        id=row["id"],
        email=row["email"],
        first_name=row["first_name"],
        last_name=row["last_name"],
        roles=row["roles"],
        phone=row["phone"] if phone else None,
        timezone=row["timezone"],
        team_ids=row["team_ids"],
        is_active=row["is_active"],
        reachable=row["is_active"] and row.get("has_device", False),
        roles_given_by=row["roles_given_by"],
        roles_given_at=row["roles_given_at"],
        version=row["version"],
        created_at=row["created_at"],
        updated_at=row["updated_at"] or row["created_at"],
        email_verified=row["email_verified"],
    )


def invite_view(row: dict[str, Any], now: datetime, link: LinkView | None = None) -> InviteView:
    status = InviteStatus(row["status"])
    return InviteView(
        id=row["id"],
        email=row["email"],
        roles=row["roles"],
        team_ids=row["team_ids"],
        status=InviteStatus.EXPIRED if status is InviteStatus.OPEN and row["expires_at"] <= now else status,
        invited_by=row["invited_by"],
        user_id=row["user_id"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        link=link,
    )


def device_view(row: dict[str, Any]) -> DeviceView:
    return DeviceView(
        device_id=row["device_id"],
        device_name=row["name"],
        platform=row["platform"],
        registered_at=row["registered_at"],
    )


def session_view(row: dict[str, Any], *, current: UUID) -> SessionView:
    """`current`: the session that asks."""
    return SessionView(
        id=row["id"],
        device_id=row["device_id"],
        device_name=row["device_name"],
        platform=row["platform"],
        began_at=row["began_at"],
        began_from=row["began_from"],
        last_used_at=row["used_at"],
        last_used_from=row["last_from"],
        expires_at=row["expires_at"],
        is_current=row["id"] == current,
    )


def held_view(device_id: str, session: dict[str, Any] | None, device: dict[str, Any] | None) -> HeldDevice:
    """A device, from the row of its session, of its registration, or of both."""
    signed_in, paged = session or {}, device or {}
    return HeldDevice(
        device_id=device_id,
        device_name=paged.get("name") or signed_in.get("device_name"),
        platform=paged.get("platform"),
        session_id=signed_in.get("id"),
        last_used_at=signed_in.get("used_at"),
        is_paged=device is not None,
    )
