"""What auth answers: people, devices, sessions, tokens and keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from libs.contracts.auth.facts import KeyUse, Platform
from libs.contracts.model import Contract, Moment, Role
from libs.contracts.requests import ListView
from libs.contracts.teams import TeamOf


class UserView(Contract):
    id: UUID
    email: str
    first_name: str
    last_name: str
    roles: tuple[Role, ...]
    phone: str | None = None
    timezone: str = "UTC"
    team_ids: tuple[UUID, ...] = ()
    teams: tuple[TeamOf, ...] = ()
    """The same by name, with what they are in each."""
    is_active: bool = True
    """False: deactivated. They can neither sign in nor be paged, and whatever names them passes them over."""
    reachable: bool = False
    """Whether a page would go anywhere: they are active and have a device."""
    roles_given_by: UUID | None = None
    """Who gave the present roles, with the account or since; None: an invite did (which says who sent it), a group of
    the identity provider, or the first start."""
    roles_given_at: Moment | None = None
    version: int = 1
    created_at: Moment
    updated_at: Moment
    email_verified: bool = False
    """They have used a link that was sent to their address and nowhere else."""


class NameView(Contract):
    """`pager.rpc.auth.name`: what a refusal calls somebody, for whoever was refused."""

    first_name: str
    last_name: str


class UsersPage(ListView):
    """`pager.rpc.auth.users`: a page of people by last and first name."""

    users: tuple[UserView, ...]


class DeviceView(Contract):
    device_id: str
    device_name: str
    platform: Platform
    registered_at: Moment
    last_receipt_at: Moment | None = None
    """When it last said what became of a page, where one's devices are asked for; None: never, or notifier is away."""


class HeldDevice(Contract):
    """One of somebody's devices, for them to choose which of them goes. It is signed in, or paged, or both."""

    device_id: str
    device_name: str | None = None
    platform: Platform | None = None
    session_id: UUID | None = None
    """None: it is not signed in."""
    last_used_at: Moment | None = None
    """When it signed in, or was last given new tokens; None: it is not known."""
    is_paged: bool


class SessionView(Contract):
    """Somebody signed in on a device. Networks are coarse: the /24 of an IPv4 address, the /48 of an IPv6 one."""

    id: UUID
    device_id: str
    device_name: str | None = None
    platform: Platform | None = None
    """None: the device has not said what it is."""
    began_at: Moment
    began_from: str | None = None
    last_used_at: Moment | None = None
    """When it began, or was last given new tokens."""
    last_used_from: str | None = None
    expires_at: Moment
    """Unless it is given new tokens before; a browser's, unless its person asks for something before."""
    is_bound: bool = False
    """Whether it is renewed only with a proof by its device's key."""
    is_current: bool
    """Whether it is the one that asks."""


class SessionsPage(ListView):
    """`pager.rpc.auth.sessions`: a page of somebody's sessions, the oldest first."""

    sessions: tuple[SessionView, ...]


class DevicesView(ListView):
    """`pager.rpc.auth.devices`: the caller's devices that can be paged, oldest first."""

    devices: tuple[DeviceView, ...]


class Tokens(Contract):
    access_token: str = Field(repr=False)
    refresh_token: str | None = Field(default=None, repr=False)
    """Not in answers to browsers: there it is in a cookie."""
    expires_in: int
    """Seconds."""
    token_type: str = "Bearer"  # noqa: S105


class SignedInView(Contract):
    user: UserView
    tokens: Tokens
    recovery_codes: tuple[str, ...] = Field(default=(), repr=False)
    """Of a second factor that was set up by this sign-in: shown once."""
    device_credential: str | None = Field(default=None, repr=False)
    """Where a `deviceKey` was given: it outlives the session for acknowledging, receipts and the open list, each time
    with a proof."""


class CaptchaChallenge(Contract):
    """For ALTCHA's widget. What is in it is the library's affair."""

    parameters: dict[str, Any]
    signature: str


class SignInMethods(Contract):
    """What a sign-in screen shows, for whoever asks."""

    provider: bool
    """Whether one can sign in at an identity provider (`GET /auth/oidc/start`)."""
    captcha: bool
    """Whether an account that many wrong passwords were tried for asks for a captcha."""


class TotpSecret(Contract):
    """For an authenticator app: `uri` is what its QR code says (`otpauth://`)."""

    secret: str = Field(repr=False)
    """Base32."""
    uri: str = Field(repr=False)


class RecoveryCodes(Contract):
    """Each is good once, in place of a code. They are shown once: where that was before, there are none here."""

    recovery_codes: tuple[str, ...] = Field(repr=False)


class SecondFactorView(Contract):
    """The caller's second factor."""

    is_on: bool
    is_needed: bool
    """Whether they cannot be without one."""
    recovery_codes_left: int


class KeySet(Contract):
    """`pager.rpc.auth.keys`: a JWK set (RFC 7517) of the access tokens' public keys."""

    keys: tuple[dict[str, Any], ...]


class SigningKeyView(Contract):
    """A key's ages; nothing of the key itself."""

    kid: str
    use: KeyUse
    made_at: Moment
    not_before: Moment
    """It signs from then on, until the next one does."""
    not_after: Moment | None = None
    """It verifies until then; None: it has no successor yet."""


class MasterKeyView(Contract):
    """`name` tells master keys apart, and says nothing else. `sealed_by_others`: secrets at rest that another one has
    sealed, the previous one as a rule; `unreadable`: those of them that no key given here opens. `waits_for`: the
    replicas that do not have this one yet, so that it seals nothing; `is_left_behind`: the one that seals is not given
    here."""

    name: str
    sealed_by_others: int
    unreadable: int
    waits_for: tuple[str, ...] = ()
    is_left_behind: bool = False


class SigningKeysView(Contract):
    """`pager.rpc.auth.signing_keys`, for operators: oldest first. `rotated`: whether this request has done it."""

    keys: tuple[SigningKeyView, ...]
    next_rotation: Moment
    master_key: MasterKeyView
    rotated: bool = False
