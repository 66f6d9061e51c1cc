"""People, their devices, sessions and second factors, and signing keys: what auth publishes."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Moment, Personal, Role


class Platform(StrEnum):
    IOS = "ios"
    ANDROID = "android"
    WEB = "web"


class KeyReason(StrEnum):
    """Why another key signs access tokens."""

    FIRST = "first"
    AGE = "age"
    OPERATOR = "operator"
    COMPROMISED = "compromised"
    """The keys before are no longer believed, from that moment on."""


class KeyUse(StrEnum):
    COMING = "coming"
    """Published, and not used yet."""
    SIGNING = "signing"
    VERIFYING = "verifying"
    """Its tokens are good until they end."""


class UserRegistered(Fact, type="pager.auth.UserRegistered.v1"):
    user_id: UUID
    email: Personal[str]
    first_name: Personal[str]
    last_name: Personal[str]
    phone: Personal[str | None] = None
    timezone: str
    roles: tuple[Role, ...]


class UserChanged(Fact, type="pager.auth.UserChanged.v1"):
    """The whole profile after the change."""

    user_id: UUID
    first_name: Personal[str]
    last_name: Personal[str]
    phone: Personal[str | None] = None
    timezone: str


class RolesChanged(Fact, type="pager.auth.RolesChanged.v1"):
    """All roles after the change, who gave or took them, and when.

    Access tokens say of which version of a person they are: those of an earlier one than this are refused from now on.
    """

    user_id: UUID
    roles: tuple[Role, ...]
    by: Actor
    at: Moment
    version: int
    """Of the person, as their views show it."""


class UserDeactivated(Fact, type="pager.auth.UserDeactivated.v1"):
    """They can neither sign in nor be paged. Their sessions end beside this; roles and devices stay as they are."""

    user_id: UUID
    by: Actor
    at: Moment


class UserReactivated(Fact, type="pager.auth.UserReactivated.v1"):
    """They may sign in again, and are paged on the devices that they had."""

    user_id: UUID
    by: Actor
    at: Moment


class EmailVerified(Fact, type="pager.auth.EmailVerified.v1"):
    """Somebody has shown a link that was sent to their address and nowhere else."""

    user_id: UUID


class ResetLinkIssued(Fact, type="pager.auth.ResetLinkIssued.v1"):
    """There is a link with which somebody may choose another password: they asked for it, or an admin did."""

    user_id: UUID


class PasswordReset(Fact, type="pager.auth.PasswordReset.v1"):
    """Somebody has another password, by a link or by an operator; all their sessions end with it."""

    user_id: UUID


class PasswordChanged(Fact, type="pager.auth.PasswordChanged.v1"):
    """Somebody has given themselves another password; all their sessions but this one end with it.

    Access tokens of an earlier version of them are refused from now on, those of this session among them.
    """

    user_id: UUID
    session_id: UUID
    version: int | None = None
    """None: a release from before has written it, which ends none of this session's tokens."""


class DeviceRegistered(Fact, type="pager.auth.DeviceRegistered.v1"):
    """A phone that can be paged. Registering the same `device_id` again replaces its name and token.

    Private: whoever only needs to know that there is one reads `DeviceAdded`.
    """

    user_id: UUID
    device_id: str
    name: Personal[str]
    platform: Platform
    push_token: Personal[str]
    registered_at: Moment


class DeviceAdded(Fact, type="pager.auth.DeviceAdded.v1"):
    """What all may know of a `DeviceRegistered`, which comes right before it: somebody has a device."""

    user_id: UUID
    device_id: str


class DeviceRemoved(Fact, type="pager.auth.DeviceRemoved.v1"):
    user_id: UUID
    device_id: str
    reason: str


class SignedIn(Fact, type="pager.auth.SignedIn.v1"):
    """Where from, as far as the gateway has said it, which one before does not."""

    user_id: UUID
    session_id: UUID
    device_id: str
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class SignInRefused(Fact, type="pager.auth.SignInRefused.v1"):
    """Somebody tried to sign in as this person, `times` times from there in the hour: 1, 2, 5, 10, 20 … are told."""

    user_id: UUID
    reason: str
    times: int = 1
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class LockoutBegun(Fact, type="pager.auth.LockoutBegun.v1"):
    """There were too many wrong passwords for somebody's account from one place: from there none is looked at."""

    user_id: UUID
    until: Moment
    ip_address: Personal[str | None] = None
    user_agent: Personal[str | None] = None


class LockoutLifted(Fact, type="pager.auth.LockoutLifted.v1"):
    """An admin has let somebody try their password again, from wherever they are."""

    user_id: UUID


class SessionEnded(Fact, type="pager.auth.SessionEnded.v1"):
    user_id: UUID
    session_id: UUID
    reason: str


class SigningKeyRotated(Fact, type="pager.auth.SigningKeyRotated.v1"):
    """Access tokens are signed with the key `kid` (its public thumbprint) from `not_before` on."""

    kid: str
    not_before: Moment
    reason: KeyReason


class SecondFactorEnabled(Fact, type="pager.auth.SecondFactorEnabled.v1"):
    """From now on somebody signs in with a code beside their password."""

    user_id: UUID


class SecondFactorDisabled(Fact, type="pager.auth.SecondFactorDisabled.v1"):
    """Somebody signs in with their password alone again."""

    user_id: UUID
    reason: str


class RecoveryCodeUsed(Fact, type="pager.auth.RecoveryCodeUsed.v1"):
    """Somebody had no code of their app at hand; `left` recovery codes are good after this one."""

    user_id: UUID
    left: int
