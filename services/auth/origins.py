"""Where auth's tables come from."""

from __future__ import annotations

from libs.chassis.rebuild.origins import STATELESS, Origins, folding
from libs.contracts.api_keys import (
    ApiKeyChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeySecretAdded,
    ApiKeySecretRemoved,
    ApiKeyTakenOver,
)
from libs.contracts.audit import (
    AccessRefused,
    ApiKeyUsed,
    AuthActedFrom,
    RefreshTokenReused,
    RefusalsCounted,
    SignedInFromNewCountry,
    UnknownAccountRefused,
)
from libs.contracts.auth import (
    DeviceAdded,
    DeviceRegistered,
    DeviceRemoved,
    EmailVerified,
    LockoutBegun,
    LockoutLifted,
    PasswordChanged,
    PasswordReset,
    RecoveryCodeUsed,
    ResetLinkIssued,
    RolesChanged,
    SecondFactorDisabled,
    SecondFactorEnabled,
    SessionEnded,
    SignedIn,
    SigningKeyRotated,
    SignInRefused,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.erasure import InviteErased, PersonErased
from libs.contracts.features import FeatureChanged
from libs.contracts.invites import InviteAccepted, InviteIssued, InviteResent, InviteRevoked
from libs.contracts.maintenance import MaintenanceChanged
from libs.contracts.oidc import IdentityLinked, IdentityUnlinked
from libs.contracts.revocations import TokenRevoked
from libs.contracts.teams import TeamChanged, TeamCreated, TeamDeleted, TeamMembershipChanged
from services.auth.api_keys import KEYS as API_KEYS
from services.auth.entities import DEVICES, SESSIONS, USERS
from services.auth.features import FEATURES
from services.auth.invitations import INVITES
from services.auth.lost_factors import SECOND_FACTORS
from services.auth.maintenance import MAINTENANCE
from services.auth.oidc.people import IDENTITIES
from services.auth.projections import project
from services.auth.signing_keys import KEYS
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
from services.auth.tables.watch import access_log, audit, countries, noticed, notices
from services.auth.teams import TEAMS

ORIGINS = Origins(
    "auth",
    project,
    streams={
        (
            UserRegistered,
            UserChanged,
            RolesChanged,
            TeamMembershipChanged,
            UserDeactivated,
            UserReactivated,
            PasswordReset,
            PasswordChanged,
            LockoutLifted,
            EmailVerified,
            ResetLinkIssued,
            PersonErased,
        ): folding(USERS),
        (DeviceRegistered, DeviceAdded, DeviceRemoved): folding(DEVICES),
        (SecondFactorEnabled, SecondFactorDisabled, RecoveryCodeUsed): folding(SECOND_FACTORS),
        (SignedIn, SignInRefused, LockoutBegun, RefreshTokenReused, SessionEnded, TokenRevoked): folding(SESSIONS),
        (
            UnknownAccountRefused,
            AccessRefused,
            RefusalsCounted,
            SignedInFromNewCountry,
            ApiKeyUsed,
            AuthActedFrom,
        ): STATELESS,
        (
            ApiKeyCreated,
            ApiKeyChanged,
            ApiKeySecretAdded,
            ApiKeySecretRemoved,
            ApiKeyTakenOver,
            ApiKeyRevoked,
        ): folding(API_KEYS),
        (SigningKeyRotated,): folding(KEYS),
        (MaintenanceChanged,): folding(MAINTENANCE),
        (FeatureChanged,): folding(FEATURES),
        (TeamCreated, TeamChanged, TeamDeleted): folding(TEAMS),
        (InviteIssued, InviteResent, InviteRevoked, InviteAccepted, InviteErased): folding(INVITES),
        (IdentityLinked, IdentityUnlinked): folding(IDENTITIES),
    },
    projections=(
        *(users, teams, memberships, devices, invites, audit, identities, api_keys, erased, maintenance, features),
    ),
    rows={
        access_log: "requests at the gateway, which are in no event",
        api_key_secrets: "hashes of what machines show, which are in no event",
        countries: "where people have signed in from, for a year",
        notices: "what is to be mailed of security events",
        noticed: "what was mailed of them within the hour",
        passwords: "hashes of passwords, which are in no event",
        former_passwords: "hashes of passwords, which are in no event",
        guesses: "wrong passwords, of nobody's accounts too, which are forgotten within days",
        ledgers: "which file beside this database says who was erased",
        links: "hashes of one-use links, which are in no event",
        mails: "what is to be sent, of people whom nobody knows too",
        captchas: "solutions that were used, which are forgotten within minutes",
        oidc_codes: "hashes of one-use codes, which are in no event",
        second_factors: "secrets sealed under the master key, which are in no event",
        recovery_codes: "hashes of recovery codes, which are in no event",
        sessions: "hashes of refresh tokens, which are in no event",
        device_credentials: "hashes of device credentials, which are in no event",
        used_proofs: "proofs of devices' keys, which are in no event",
        revoked_tokens: "access tokens that were given up, which are forgotten when they have ended",
        known_keys: "names of devices' keys, which are in no event",
        signing_keys: "keys sealed under the master key, which are in no event",
        sealed_secrets: "keys sealed under the master key, which are in no event",
        subject_keys: "keys of persons sealed under the master key, which are in no event",
        addresses: "keyed hashes of addresses, which are in no event",
        invited_addresses: "keyed hashes of addresses, which are in no event",
        push_tokens: "keyed hashes of push tokens, which are in no event",
    },
)
