"""Invites, and what people do with the links that they are sent: what auth publishes, takes and answers."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from libs.contracts.auth import Platform, Tokens, UserView
from libs.contracts.device_keys import DeviceKey
from libs.contracts.envelope import Fact
from libs.contracts.model import Contract, Moment, Personal, Role, StrictContract
from libs.contracts.permissions import MOST_TEAMS
from libs.contracts.requests import ListView
from libs.contracts.texts import ONE_LINE, EmailAddress


class InviteIssued(Fact, type="pager.auth.InviteIssued.v1"):
    """Somebody may make an account of their own at this address until then.

    Nobody has the address yet: it is sealed under a key of the invite's own.
    """

    subject = "invite_id"

    invite_id: UUID
    email: Personal[str]
    roles: tuple[Role, ...]
    team_ids: tuple[UUID, ...] = ()
    expires_at: Moment


class InviteResent(Fact, type="pager.auth.InviteResent.v1"):
    """There is another link, which is good until then; the ones before are good no longer."""

    invite_id: UUID
    expires_at: Moment


class InviteRevoked(Fact, type="pager.auth.InviteRevoked.v1"):
    invite_id: UUID


class InviteAccepted(Fact, type="pager.auth.InviteAccepted.v1"):
    """Its link has become an account, and is good no longer."""

    invite_id: UUID
    user_id: UUID


class Invite(StrictContract):
    """`POST /invites` (admin)."""

    email: EmailAddress
    roles: tuple[Role, ...] = Field(default=(Role.USER,), min_length=1, max_length=10)
    team_ids: tuple[UUID, ...] = Field(default=(), max_length=MOST_TEAMS)
    """They become members of those of them that there are by then, and that have room."""


class Register(StrictContract):
    """`POST /auth/register`: the address is the invite's. With a `deviceId` they are signed in there as well."""

    invite_token: str = Field(min_length=1, max_length=255, repr=False)
    password: str = Field(max_length=1024, repr=False, json_schema_extra={"format": "new-password"})
    """As at `POST /users`."""
    first_name: str = Field(min_length=1, max_length=100, pattern=ONE_LINE)
    last_name: str = Field(min_length=1, max_length=100, pattern=ONE_LINE)
    device_id: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    """What concerns the device is as at `POST /auth/login`, and needs this."""
    device_name: str = Field(default="unnamed device", max_length=255, pattern=ONE_LINE)
    push_token: str | None = Field(
        default=None, max_length=4096, repr=False, json_schema_extra={"format": "push-token"}
    )
    platform: Platform | None = None
    device_key: DeviceKey | None = None


class RegisteredView(UserView):
    """`pager.rpc.auth.register`: who that became, and with what their device goes on.

    Without tokens they sign in as everybody does: no device was named, or more than the password is wanted.
    """

    tokens: Tokens | None = None
    device_credential: str | None = Field(default=None, repr=False)


class JoinedView(Contract):
    """The same over HTTP."""

    user: UserView
    tokens: Tokens | None = None
    """None: no `deviceId` was named, or more than the password is wanted: sign in."""
    device_credential: str | None = Field(default=None, repr=False)
    """As at sign-in."""


class ForgotPassword(StrictContract):
    """`POST /auth/password/forgot`."""

    email: str = Field(min_length=3, max_length=255, pattern=ONE_LINE)


class ResetPassword(StrictContract):
    """`POST /auth/password/reset`."""

    token: str = Field(min_length=1, max_length=255, repr=False)
    new_password: str = Field(max_length=1024, repr=False, json_schema_extra={"format": "new-password"})
    """As at `POST /auth/password/change`."""


class Token(StrictContract):
    """`POST /auth/email/verify`."""

    token: str = Field(min_length=1, max_length=255, repr=False)


class AskedFor(Contract):
    """A mail is on its way, if there is anybody to get it."""


class InviteStatus(StrEnum):
    OPEN = "open"
    EXPIRED = "expired"
    ACCEPTED = "accepted"
    REVOKED = "revoked"


class LinkView(Contract):
    """A link that can be used once; whoever has it is whom it was made for."""

    url: str = Field(repr=False)
    expires_at: Moment


class InviteView(Contract):
    shown_once: ClassVar[frozenset[str]] = frozenset({"link"})

    id: UUID
    email: str
    roles: tuple[Role, ...]
    team_ids: tuple[UUID, ...] = ()
    status: InviteStatus
    invited_by: UUID | None = None
    user_id: UUID | None = None
    """Who has accepted it."""
    created_at: Moment
    expires_at: Moment
    link: LinkView | None = None
    """To hand over, in the answer that made it and nowhere else; null where it goes by mail."""


class ResetLinkView(Contract):
    shown_once: ClassVar[frozenset[str]] = frozenset({"link"})

    link: LinkView | None = None
    """To hand over, in the answer that made it and nowhere else; null where it goes by mail."""


class InvitesPage(ListView):
    """`pager.rpc.auth.invites`: a page of invites, oldest first."""

    invites: tuple[InviteView, ...]
