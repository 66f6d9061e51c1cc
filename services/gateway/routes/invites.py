"""Invites: who may make an account of their own (admin)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.invites import Invite, InviteView
from libs.contracts.requests import ById, Nothing
from services.gateway.envelope import item, success
from services.gateway.listing import Paging, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/invites", tags=["invites"], route_class=PagerRoute, dependencies=[SIGNED_IN])

InviteId = Annotated[UUID, Path(alias="id")]

_INVITE = one("invite", InviteView, "Invite")
_OVER = "the invite was accepted or revoked"


@router.post(
    "",
    operation_id="invite",
    summary="Invite somebody (admin)",
    description="Where no mails are sent the answer has the `link` to hand over. It is shown once, here: a repeat with "
    "the same Idempotency-Key does not show it again.",
    status_code=201,
    responses=documented(_INVITE, 201, conflict="the address belongs to somebody, or is invited already"),
)
async def invite(body: Invite, ask: Asking) -> Response:
    return item("invite", await ask.command("auth", "invite", body), 201)


@router.get(
    "",
    operation_id="listInvites",
    summary="List invites (admin)",
    responses=documented(several("invites", InviteView, "Invites")),
)
async def list_invites(paging: Paging, ask: Asking) -> Response:
    return page("invites", await ask.query("auth", "invites", paging), paging)


@router.get("/{id}", operation_id="getInvite", summary="One invite (admin)", responses=documented(_INVITE))
async def get_invite(invite_id: InviteId, ask: Asking) -> Response:
    return item("invite", await ask.query("auth", "get_invite", ById(id=invite_id)))


@router.post(
    "/{id}/resend",
    operation_id="resendInvite",
    summary="Send an invite again (admin)",
    description="With another link; the ones before are good no longer.",
    responses=documented(_INVITE, conflict=_OVER),
)
async def resend_invite(invite_id: InviteId, ask: Asking) -> Response:
    return item("invite", await ask.command("auth", "resend_invite", ById(id=invite_id)))


@router.delete(
    "/{id}",
    operation_id="revokeInvite",
    summary="Revoke an invite (admin)",
    responses=documented(answer("Revoked", Nothing), conflict="the invite was accepted"),
)
async def revoke_invite(invite_id: InviteId, ask: Asking) -> Response:
    await ask.command("auth", "revoke_invite", ById(id=invite_id), repeatable=True)
    return success({})
