"""What auth asks its tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    LargeBinary,
    Text,
    Uuid,
    and_,
    bindparam,
    cast,
    exists,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from libs.chassis.store.listing import Keyset, Listing
from libs.contracts.api_keys import MOST_KEYS, MOST_MARKS
from libs.contracts.invites import InviteStatus
from libs.contracts.uses import MOST_NAMED
from services.auth.tables.doors import features, maintenance
from services.auth.tables.keys import api_key_secrets, api_keys, ledgers, sealed_secrets, signing_keys, subject_keys
from services.auth.tables.passwords import (
    captchas,
    former_passwords,
    guesses,
    links,
    mails,
    passwords,
    recovery_codes,
    second_factors,
)
from services.auth.tables.people import (
    addresses,
    devices,
    erased,
    identities,
    invited_addresses,
    invites,
    memberships,
    push_tokens,
    teams,
    users,
)
from services.auth.tables.sessions import (
    device_credentials,
    known_keys,
    oidc_codes,
    revoked_tokens,
    sessions,
    used_proofs,
)
from services.auth.tables.watch import countries, noticed, notices

_HAS_DEVICE = exists().where(devices.c.user_id == users.c.id).label("has_device")
_TEAM_OF = func.jsonb_build_object("id", teams.c.id, "name", teams.c.name, "role", memberships.c.role)
_TEAMS = (
    select(func.coalesce(func.jsonb_agg(aggregate_order_by(_TEAM_OF, teams.c.name, teams.c.id)), text("'[]'::jsonb")))
    .select_from(memberships.join(teams, teams.c.id == memberships.c.team_id))
    .where(memberships.c.user_id == users.c.id)
    .scalar_subquery()
    .label("teams")
)
_PEOPLE = select(users, _HAS_DEVICE, _TEAMS)
RIGHTS_OF = select(users.c.id, users.c.roles, users.c.version, users.c.is_active, _TEAMS).where(
    users.c.id == bindparam("id", type_=Uuid)
)
"""What of a person a token says: nothing of that is sealed."""
USER = _PEOPLE.where(users.c.id == bindparam("id", type_=Uuid))
# Only locked: whoever waited for it would be told the person as they are now, and their teams as these were before.
USER_LOCKED = select(users.c.id).where(users.c.id == bindparam("id", type_=Uuid)).with_for_update()
USER_BY_EMAIL = (
    select(users, _HAS_DEVICE, _TEAMS, passwords.c.hash.label("password_hash"), passwords.c.changed_at)
    .join(passwords, passwords.c.user_id == users.c.id)
    .join(addresses, addresses.c.user_id == users.c.id)
    .where(addresses.c.hash == bindparam("hash", type_=LargeBinary))
)
USER_WITH_PASSWORD = (
    select(users, _HAS_DEVICE, _TEAMS, passwords.c.hash.label("password_hash"), passwords.c.changed_at)
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
PEOPLE = _PEOPLE.where(users.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
NAMES = select(users.c.id, cast(users.c.last_name, Text).label("last"), cast(users.c.first_name, Text).label("first"))
"""Everybody's, still in their boxes."""
ADMINS = select(users.c.id).where(users.c.roles.contains(["admin"]), users.c.is_active).order_by(users.c.id).limit(2)
"""Two of those who are active, if there are so many: whether there is another one than somebody."""

_COUNT = select(func.count()).where(memberships.c.team_id == teams.c.id).scalar_subquery().label("members")
_TEAM_ROWS = select(teams, _COUNT)
MAINTENANCE = select(maintenance)
FEATURES = select(features).order_by(features.c.flag)
TEAM = _TEAM_ROWS.where(teams.c.id == bindparam("id", type_=Uuid))
TEAMS = Listing(Keyset("teams", (teams.c.name, teams.c.id)), _TEAM_ROWS)
TEAM_ONLY = Listing(Keyset("teams", (teams.c.name, teams.c.id)), TEAM)
TEAMS_KNOWN = select(teams.c.id, teams.c.name, _COUNT).where(
    teams.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid)))
)
_INVISIBLE = r"[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
"""Characters without any width, and those that turn the ones around them."""


def _read_aloud(name: ColumnElement[str]) -> ColumnElement[str]:
    """What is the same for two names that look alike on a page: of two teams one would be told what the other is."""
    composed = func.normalize(name, text("NFKC"))
    return func.lower(func.regexp_replace(composed, _INVISIBLE, "", "g"))


TEAM_NAMED = select(teams.c.id).where(_read_aloud(teams.c.name) == _read_aloud(bindparam("name", type_=Text)))
_MEMBERS = (
    select(users, _HAS_DEVICE, memberships.c.role.label("team_role"), memberships.c.since, memberships.c.user_id)
    .join(memberships, memberships.c.user_id == users.c.id)
    .where(memberships.c.team_id == bindparam("id", type_=Uuid))
)
MEMBERS = Listing(Keyset("members", (memberships.c.since, memberships.c.user_id)), _MEMBERS)
MEMBER = _MEMBERS.where(memberships.c.user_id == bindparam("user_id", type_=Uuid))
MEMBERSHIP = select(memberships.c.role.label("team_role"), memberships.c.since).where(
    memberships.c.team_id == bindparam("id", type_=Uuid), memberships.c.user_id == bindparam("user_id", type_=Uuid)
)
MEMBER_IDS = (
    select(memberships.c.user_id)
    .where(memberships.c.team_id == bindparam("id", type_=Uuid))
    .order_by(memberships.c.user_id)
)
# In one order: whoever changes several people locks them one after the other.
USERS_LOCKED = (
    select(users.c.id)
    .where(users.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(users.c.id)
    .with_for_update()
)

SESSION_OF = (
    select(users.c.roles_version)
    .join(sessions, users.c.id == sessions.c.user_id)
    .where(sessions.c.id == bindparam("id", type_=Uuid), users.c.id == bindparam("user_id", type_=Uuid))
    .where(users.c.is_active)
    .where(~exists().where(revoked_tokens.c.token_id == bindparam("token_id", type_=Uuid)))
)
SESSIONS_LOCKED = (
    select(sessions)
    .where(sessions.c.id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(sessions.c.id)
    .with_for_update()
)
SESSION = select(sessions).where(sessions.c.id == bindparam("id", type_=Uuid))
SESSION_LOCKED = SESSION.with_for_update()
# Locked as well, and in one order: a refresh locks its row before the append lock, so whoever ends sessions must too.
SESSIONS_OF_LOCKED = (
    select(sessions)
    .where(sessions.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(sessions.c.id)
    .with_for_update()
)
SESSIONS_HELD = (
    select(sessions).where(sessions.c.user_id == bindparam("user_id", type_=Uuid)).order_by(sessions.c.began_at)
)
SESSIONS_LISTED = Listing(
    Keyset("sessions", (sessions.c.began_at, sessions.c.id)),
    select(sessions).where(
        sessions.c.user_id == bindparam("user_id", type_=Uuid),
        sessions.c.expires_at > bindparam("now", type_=DateTime(timezone=True)),
    ),
)

DEVICE_CREDENTIAL_OF = (
    select(users.c.roles_version)
    .join(device_credentials, users.c.id == device_credentials.c.user_id)
    .where(device_credentials.c.id == bindparam("id", type_=Uuid), users.c.id == bindparam("user_id", type_=Uuid))
    .where(users.c.is_active)
)
PROOF_USED = select(used_proofs.c.hash).where(used_proofs.c.hash == bindparam("hash", type_=LargeBinary))
DEVICE_CREDENTIAL_LOCKED = (
    select(device_credentials)
    .where(device_credentials.c.hash == bindparam("hash", type_=LargeBinary))
    .with_for_update()
)
# Locked, and in one order, as sessions are.
DEVICE_CREDENTIALS_OF = (
    select(device_credentials)
    .where(device_credentials.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(device_credentials.c.hash)
    .with_for_update()
)
DEVICE_CREDENTIALS_HELD = (
    select(*(c for c in device_credentials.c if c.name in ("device_id", "made_at", "used_at", "ends_at")))
    .where(device_credentials.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(device_credentials.c.made_at)
)
_KNOWN_KEYS = select(known_keys).where(known_keys.c.user_id == bindparam("user_id", type_=Uuid))
KNOWN_KEY = _KNOWN_KEYS.where(known_keys.c.thumbprint == bindparam("thumbprint", type_=LargeBinary))
KNOWN_KEYS_OF = _KNOWN_KEYS.order_by(known_keys.c.forget_at, known_keys.c.thumbprint)

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

IDENTITY = select(identities).where(identities.c.id == bindparam("id", type_=Uuid))
IDENTITIES_OF = (
    select(identities).where(identities.c.user_id == bindparam("user_id", type_=Uuid)).order_by(identities.c.id)
)
CAPTCHA = select(captchas.c.hash).where(captchas.c.hash == bindparam("hash", type_=LargeBinary))
OIDC_CODE = select(oidc_codes).where(oidc_codes.c.hash == bindparam("hash", type_=LargeBinary))
OIDC_CODE_LOCKED = OIDC_CODE.with_for_update()
OIDC_CODES_OF = (
    select(oidc_codes)
    .where(oidc_codes.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(oidc_codes.c.hash)
    .with_for_update()
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
DEVICES_OF_TOKEN = (
    select(devices)
    .join(push_tokens, push_tokens.c.device == devices.c.id)
    .where(push_tokens.c.hash == bindparam("hash", type_=LargeBinary))
)

_API_KEY_ID = bindparam("id", type_=Uuid)
API_KEY = select(api_keys).where(api_keys.c.id == _API_KEY_ID)
API_KEYS = Listing(
    Keyset("api_keys", (api_keys.c.created_at, api_keys.c.id)),
    select(api_keys).where(
        or_(
            bindparam("everything", type_=Boolean),
            and_(bindparam("organisation", type_=Boolean), api_keys.c.team_id.is_(None)),
            api_keys.c.team_id == func.any(bindparam("teams", type_=ARRAY(Uuid))),
        )
    ),
)
API_KEYS_OF_OWNER = (
    select(api_keys).where(api_keys.c.owner_id == bindparam("owner_id", type_=Uuid)).order_by(api_keys.c.id)
)
API_KEYS_OF_TEAM = (
    select(api_keys.c.id, api_keys.c.name, func.count().over().label("total"))
    .where(api_keys.c.team_id == _API_KEY_ID)
    .order_by(api_keys.c.created_at, api_keys.c.id)
    .limit(MOST_NAMED)
)
API_KEYS_OF_TEAM_ITSELF = (
    select(api_keys.c.id)
    .where(api_keys.c.team_id == bindparam("team_id", type_=Uuid), api_keys.c.owner_id.is_(None))
    .limit(MOST_KEYS)
)
SECRETS = (
    select(api_key_secrets)
    .where(api_key_secrets.c.key_id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(api_key_secrets.c.created_at, api_key_secrets.c.id)
)
# In one order, as sessions are: whoever ends them locks them before the append lock.
SECRETS_LOCKED = (
    select(api_key_secrets)
    .where(api_key_secrets.c.key_id == func.any(bindparam("ids", type_=ARRAY(Uuid))))
    .order_by(api_key_secrets.c.id)
    .with_for_update()
)
# Those that were used last come first: of more there is no need.
SECRET_HASHES = (
    select(api_key_secrets.c.hash)
    .order_by(api_key_secrets.c.last_used_at.desc().nulls_last(), api_key_secrets.c.created_at.desc())
    .limit(MOST_MARKS)
)
_SHOWN = (
    api_key_secrets.c.id.label("secret_id"),
    api_key_secrets.c.session_id,
    api_key_secrets.c.last_used_at,
)
SECRET_SHOWN = (
    select(api_keys, *_SHOWN)
    .join(api_key_secrets, api_key_secrets.c.key_id == api_keys.c.id)
    .where(api_key_secrets.c.hash == bindparam("hash", type_=LargeBinary))
)
SECRET_OF_SESSION = (
    select(api_keys.c.owner_id, api_keys.c.expires_at, users.c.is_active, users.c.roles_version)
    .join(api_key_secrets, api_key_secrets.c.key_id == api_keys.c.id)
    .join(users, users.c.id == api_keys.c.owner_id, isouter=True)
    .where(
        api_key_secrets.c.session_id == bindparam("session_id", type_=Uuid),
        api_keys.c.id == _API_KEY_ID,
    )
)

INVITES_LIST = Listing(Keyset("invites", (invites.c.created_at, invites.c.id)), select(invites))
INVITE = select(invites).where(invites.c.id == bindparam("id", type_=Uuid))
INVITES_OPEN = (
    select(invites.c.id)
    .join(invited_addresses, invited_addresses.c.invite_id == invites.c.id)
    .where(
        invited_addresses.c.hash == bindparam("hash", type_=LargeBinary),
        invites.c.status == str(InviteStatus.OPEN),
        invites.c.expires_at > bindparam("now", type_=DateTime(timezone=True)),
    )
)
INVITES_OF = (
    select(invites.c.id)
    .outerjoin(invited_addresses, invited_addresses.c.invite_id == invites.c.id)
    .where(
        or_(
            invites.c.user_id == bindparam("user_id", type_=Uuid),
            invited_addresses.c.hash == bindparam("hash", type_=LargeBinary),
        )
    )
    .order_by(invites.c.id)
)
"""Those that `user_id` has accepted, and those to the address of this `hash`."""

_IDS = bindparam("ids", type_=ARRAY(Uuid))
LIVING = select(users.c.id).where(users.c.id == func.any(_IDS)).order_by(users.c.id)
ERASED = select(erased).where(or_(_IDS.is_(None), erased.c.user_id == func.any(_IDS))).order_by(erased.c.user_id)
"""Of the people `ids`, or of all where it is None."""
LEDGER = select(ledgers.c.id).order_by(ledgers.c.id)
SOMEBODY = select(users.c.id).limit(1)

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

ACTIVE_ADMINS = (
    select(users.c.id).where(users.c.roles.contains(["admin"]), users.c.is_active).order_by(users.c.id).limit(50)
)
"""As many as are mailed at once."""
NOTICES_DUE = (
    select(notices)
    .where(notices.c.next_at <= _NOW)
    .order_by(notices.c.next_at)
    .limit(bindparam("most", type_=BigInteger))
    .with_for_update(skip_locked=True)
)
NOTICES_WAIT = select(notices.c.id).order_by(notices.c.next_at).offset(bindparam("most", type_=BigInteger)).limit(1)
NOTICED = select(noticed.c.at).where(
    noticed.c.kind == bindparam("kind", type_=Text), noticed.c.whom == bindparam("whom", type_=Uuid)
)
COUNTRIES_OF = select(countries.c.country).where(
    countries.c.user_id == bindparam("user_id", type_=Uuid),
    countries.c.last_at >= bindparam("since", type_=DateTime(timezone=True)),
)

COUNTRIES_HELD = (
    select(countries.c.country, countries.c.last_at)
    .where(countries.c.user_id == bindparam("user_id", type_=Uuid))
    .order_by(countries.c.country)
)

SIGNING_KEYS = select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid)
SEALED_SECRETS = select(sealed_secrets).order_by(sealed_secrets.c.name)

_SUBJECTS = subject_keys.c.subject == func.any(bindparam("ids", type_=ARRAY(Uuid)))
SUBJECT_KEYS = select(subject_keys.c.subject, subject_keys.c.sealed, subject_keys.c.sealed_by).where(
    _SUBJECTS, subject_keys.c.sealed.is_not(None)
)
SUBJECTS_GONE = select(subject_keys.c.subject).where(_SUBJECTS)
"""Who has a row; asked about those whose key could not be had."""
SUBJECT_KEYS_OF_OTHERS = (
    select(subject_keys.c.subject, subject_keys.c.sealed)
    .where(
        subject_keys.c.sealed.is_not(None),
        subject_keys.c.sealed_by.is_distinct_from(bindparam("name", type_=Text)),
    )
    .order_by(subject_keys.c.subject)
)

# What code from before has written: without what it is found by now.
USERS_WITHOUT_ADDRESS = select(users.c.id, users.c.email).where(~exists().where(addresses.c.user_id == users.c.id))
INVITES_WITHOUT_ADDRESS = select(invites.c.id, invites.c.email).where(
    invites.c.status == str(InviteStatus.OPEN), ~exists().where(invited_addresses.c.invite_id == invites.c.id)
)
DEVICES_WITHOUT_TOKEN = select(devices.c.id, devices.c.token_hash).where(
    devices.c.token_hash.is_not(None), ~exists().where(push_tokens.c.device == devices.c.id)
)
