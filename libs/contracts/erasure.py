"""Erasing a person, and telling them what Pager holds on them (GDPR art. 17 and 15): what is published and asked."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Contract, Moment, StrictContract

ERASED: Final = "an erased person"
"""What is shown in the place of their name."""


class PersonErased(Fact, type="pager.auth.PersonErased.v1"):
    """Nobody is called that any more: whoever keeps names, addresses or tokens of this person forgets them.

    It comes after `UserDeactivated` and the ends of their sessions and devices, and nothing of this id comes after it.
    """

    user_id: UUID
    by: Actor
    at: Moment


class InviteErased(Fact, type="pager.auth.InviteErased.v1"):
    """An invite to the address of somebody who was erased is forgotten with them."""

    invite_id: UUID


class ConfirmErasure(StrictContract):
    """`DELETE /users/{id}` (admin): whom it is really about."""

    confirm_email: str = Field(min_length=1, max_length=255)
    """Their address."""


class EraseUser(ConfirmErasure):
    id: UUID


class ExportQuery(StrictContract):
    """`pager.rpc.<service>.export`: a part of what a service holds on the caller, from a place in it on."""

    part: str = Field(min_length=1, max_length=50)
    cursor: str | None = Field(default=None, max_length=4096)


class ExportPage(Contract):
    """`rows` as JSON; without a `next_cursor` it was the last page. A page may be empty and not the last."""

    rows: tuple[dict[str, Any], ...]
    next_cursor: str | None = None


class PersonHeld(Contract):
    """`GET /users/me/export`: all that is held on somebody, and nothing that lets anybody in.

    `history`: every event of a service that names them. Of what they did to others their ids alone stand there.
    """

    user: dict[str, Any]
    devices: tuple[dict[str, Any], ...]
    sessions: tuple[dict[str, Any], ...]
    second_factor: dict[str, Any]
    invites: tuple[dict[str, Any], ...]
    identities: tuple[dict[str, Any], ...]
    """Their accounts at an identity provider."""
    api_keys: tuple[dict[str, Any], ...]
    device_credentials: tuple[dict[str, Any], ...]
    """With what their devices answer pages while they are signed out."""
    known_devices: tuple[dict[str, Any], ...]
    """On which they have signed in with a key."""
    countries: tuple[dict[str, Any], ...]
    """From which they have signed in, within a year."""
    requests: tuple[dict[str, Any], ...]
    """Of the last 90 days."""
    schedules: tuple[dict[str, Any], ...]
    shifts: tuple[dict[str, Any], ...]
    policies: tuple[dict[str, Any], ...]
    incidents: tuple[dict[str, Any], ...]
    notifications: tuple[dict[str, Any], ...]
    history: dict[str, tuple[dict[str, Any], ...]]
