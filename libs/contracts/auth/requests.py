"""What auth is asked: signing in, people, second factors and devices."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from libs.contracts.auth.facts import Platform
from libs.contracts.device_keys import DeviceKey, Proof
from libs.contracts.model import Role, StrictContract
from libs.contracts.permissions import MOST_TEAMS
from libs.contracts.requests import ListPage
from libs.contracts.texts import ONE_LINE, PHONE, EmailAddress, TimeZone


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


class UsersQuery(ListPage):
    """`pager.rpc.auth.users`."""

    q: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    """Only those in whose name all of its words occur, however their letters are written, or whose address it is."""


class RotateKeys(StrictContract):
    """`pager.rpc.auth.rotate_keys`, for operators. `compromised`: at once, and nothing signed before is believed."""

    compromised: bool = False
