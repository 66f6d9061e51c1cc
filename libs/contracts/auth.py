"""People, devices and sessions: what auth publishes and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import Field

from libs.contracts.device_keys import DeviceKey, Proof
from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Contract, Moment, Personal, Role, StrictContract
from libs.contracts.permissions import MOST_TEAMS
from libs.contracts.requests import ListPage, ListView
from libs.contracts.teams import TeamOf
from libs.contracts.texts import ONE_LINE, PHONE, EmailAddress, TimeZone


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


class Login(StrictContract):
    """`POST /auth/login`; `platform` is guessed from the token when it is missing: 64 hex digits mean ios."""

    email: str = Field(min_length=3, max_length=255, pattern=ONE_LINE)
    password: str = Field(min_length=1, max_length=1024, repr=False)
    device_id: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    device_name: str = Field(default="unnamed device", max_length=255, pattern=ONE_LINE)
    push_token: str | None = Field(
        default=None, max_length=4096, repr=False, json_schema_extra={"format": "push-token"}
    )
    platform: Platform | None = None
    replace: str | None = Field(default=None, min_length=1, max_length=255)
    """The `deviceId` or `sessionId` of a device of theirs that this one takes the place of."""
    totp: str | None = Field(default=None, min_length=1, max_length=64, repr=False)
    """For whoever has a second factor: six digits of their app, or a recovery code."""
    captcha: str | None = Field(default=None, min_length=1, max_length=4096, repr=False)
    """The solution of a captcha, as ALTCHA's widget makes it (base64), where one is asked for."""
    device_key: DeviceKey | None = None
    """The session is bound to it for ever: each refresh needs a proof by this key."""
    proof: Proof | None = Field(default=None, repr=False)
    """By `deviceKey`, its `ath` of `email` as it stands here: a device that has signed in with this key before comes
    before strangers, and their wrong passwords do not lock it out."""


class Refresh(StrictContract):
    refresh_token: str = Field(max_length=1024, repr=False)
    device_id: str = Field(min_length=1, max_length=255)
    proof: Proof | None = Field(default=None, repr=False)
    by_cookie: bool = False
    """A browser's cookie has brought it."""


class Logout(StrictContract):
    device_id: str = Field(min_length=1, max_length=255)
    all_devices: bool = False


class LeaveBrowser(Logout):
    """`pager.rpc.auth.leave_browser`: the same, by a browser that shows its refresh token alone."""

    refresh_token: str = Field(max_length=1024, repr=False)


class SessionsOf(ListPage):
    """`pager.rpc.auth.sessions`; without `user_id` the caller's."""

    user_id: UUID | None = None


class EndSession(StrictContract):
    """`user_id` as in `SessionsOf`."""

    id: UUID
    user_id: UUID | None = None


class EndOthers(StrictContract):
    """All sessions but the one that asks; `user_id` as in `SessionsOf`."""

    user_id: UUID | None = None


class LoseDevice(StrictContract):
    """Somebody's phone that is lost (admin)."""

    user_id: UUID
    device_id: str = Field(min_length=1, max_length=255)


class RegisterUser(StrictContract):
    """`POST /users` (admin)."""

    email: EmailAddress
    password: str = Field(max_length=1024, repr=False, json_schema_extra={"format": "new-password"})
    """At least 12 characters, among them a lower-case and an upper-case letter, a number and a symbol; and not easy to
    guess for whoever knows what many people take, and the person's names and address."""
    first_name: str = Field(min_length=1, max_length=100, pattern=ONE_LINE)
    last_name: str = Field(min_length=1, max_length=100, pattern=ONE_LINE)
    roles: tuple[Role, ...] = Field(default=(Role.USER,), min_length=1, max_length=10)
    phone: str | None = Field(default=None, pattern=PHONE)
    timezone: TimeZone = "UTC"
    team_ids: tuple[UUID, ...] = Field(default=(), max_length=MOST_TEAMS)
    """They are members of these."""


class ChangePassword(StrictContract):
    """`POST /auth/password/change`, for the caller."""

    current_password: str = Field(min_length=1, max_length=1024, repr=False)
    new_password: str = Field(max_length=1024, repr=False, json_schema_extra={"format": "new-password"})
    """As at registration, and none of the last five."""


class ProfileChange(StrictContract):
    """`PATCH /users/me`: fields not given stay; a `phone` of null is taken away."""

    first_name: str | None = Field(default=None, min_length=1, max_length=100, pattern=ONE_LINE)
    last_name: str | None = Field(default=None, min_length=1, max_length=100, pattern=ONE_LINE)
    phone: str | None = Field(default=None, pattern=PHONE)
    timezone: TimeZone | None = None


class UserChange(ProfileChange):
    """`PATCH /users/{id}` (admin): the same, and who they are. `roles` and `teamIds` are replaced as a whole.

    Whoever is in one of `teamIds` already keeps their role in it, and is a member of the others.
    """

    roles: tuple[Role, ...] | None = Field(default=None, min_length=1, max_length=10)
    team_ids: tuple[UUID, ...] | None = Field(default=None, max_length=MOST_TEAMS)


class ChangeUser(UserChange):
    id: UUID


class BeginTotp(StrictContract):
    """`POST /users/me/totp`; whoever has signed in within the last five minutes needs not say their password again."""

    current_password: str | None = Field(default=None, min_length=1, max_length=1024, repr=False)


class ConfirmTotp(StrictContract):
    """`POST /users/me/totp/confirm`."""

    code: str = Field(min_length=1, max_length=64, repr=False)


class RemoveTotp(StrictContract):
    """`DELETE /users/me/totp`: a code (of the app, or a recovery code) or the password."""

    code: str | None = Field(default=None, min_length=1, max_length=64, repr=False)
    current_password: str | None = Field(default=None, min_length=1, max_length=1024, repr=False)


class RegisterDevice(StrictContract):
    """`POST /devices`, for the caller."""

    device_id: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    device_name: str = Field(default="unnamed device", max_length=255, pattern=ONE_LINE)
    platform: Platform
    push_token: str = Field(min_length=1, max_length=4096, repr=False, json_schema_extra={"format": "push-token"})
    """As the platform's vendor makes them: APNs hexadecimal digits, FCM `A-Z a-z 0-9 _ : . -`; of a browser the JSON of
    its `PushSubscription`, made with the key that `GET /devices/web-push-key` answers."""
    replace: str | None = Field(default=None, min_length=1, max_length=255)
    """As at sign-in."""


class DeviceQuery(StrictContract):
    device_id: str


class RemoveDevice(StrictContract):
    device_id: str


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


class UsersQuery(ListPage):
    """`pager.rpc.auth.users`."""

    q: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    """Only those in whose name all of its words occur, however their letters are written, or whose address it is."""


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


class RotateKeys(StrictContract):
    """`pager.rpc.auth.rotate_keys`, for operators. `compromised`: at once, and nothing signed before is believed."""

    compromised: bool = False


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
