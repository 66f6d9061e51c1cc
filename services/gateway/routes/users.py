"""People."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.chassis.consume.owner import NoRequest
from libs.contracts.auth import ChangeUser, ProfileChange, RegisterUser, UserChange, UserView
from libs.contracts.invites import AskedFor, ResetLinkView
from libs.contracts.requests import ById, Nothing
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import Paging, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/users", tags=["users"], route_class=PagerRoute, dependencies=[SIGNED_IN])

UserId = Annotated[UUID, Path(alias="id")]

_USER = one("user", UserView, "User")
_LAST_ADMIN = "nobody else is an active admin"


@router.post(
    "",
    operation_id="registerUser",
    summary="Register a person (admin)",
    status_code=201,
    responses=documented(_USER, 201, conflict="the address belongs to somebody"),
)
async def register_user(body: RegisterUser, ask: Asking) -> Response:
    return item("user", await ask.command("auth", "register_user", body), 201)


@router.get(
    "", operation_id="listUsers", summary="List people", responses=documented(several("users", UserView, "Users"))
)
async def list_users(paging: Paging, ask: Asking) -> Response:
    return page("users", await ask.query("auth", "users", paging), paging)


@router.get("/me", operation_id="getMe", summary="The caller", responses=documented(_USER))
async def get_me(ask: Asking) -> Response:
    return item("user", await ask.query("auth", "me", NoRequest()))


@router.patch("/me", operation_id="changeMe", summary="Change the caller's own profile", responses=documented(_USER))
async def change_me(body: ProfileChange, ask: Asking) -> Response:
    return item("user", await ask.command("auth", "change_me", body))


@router.get("/{id}", operation_id="getUser", summary="One person", responses=documented(_USER))
async def get_user(user_id: UserId, ask: Asking) -> Response:
    return item("user", await ask.query("auth", "user", ById(id=user_id)))


@router.patch(
    "/{id}",
    operation_id="changeUser",
    summary="Change a person (admin)",
    description="Whoever gets other roles refreshes their access token: the ones from before are refused.",
    responses=documented(_USER, conflict=_LAST_ADMIN),
)
async def change_user(user_id: UserId, body: UserChange, ask: Asking) -> Response:
    return item("user", await ask.command("auth", "change_user", complete(ChangeUser, body, id=user_id)))


@router.post(
    "/{id}/deactivate",
    operation_id="deactivateUser",
    summary="Deactivate a person (admin)",
    description="Their sessions end, they cannot sign in, and whatever pages them passes them over at once.",
    responses=documented(_USER, conflict=_LAST_ADMIN),
)
async def deactivate_user(user_id: UserId, ask: Asking) -> Response:
    return item("user", await ask.command("auth", "deactivate_user", ById(id=user_id)))


@router.post(
    "/{id}/reactivate",
    operation_id="reactivateUser",
    summary="Reactivate a person (admin)",
    description="They are who they were before, with the devices that they had, and sign in again.",
    responses=documented(_USER),
)
async def reactivate_user(user_id: UserId, ask: Asking) -> Response:
    return item("user", await ask.command("auth", "reactivate_user", ById(id=user_id)))


@router.post(
    "/{id}/unlock",
    operation_id="unlockUser",
    summary="Let somebody who is locked out try their password again (admin)",
    responses=documented(answer("Unlocked", Nothing)),
)
async def unlock_user(user_id: UserId, ask: Asking) -> Response:
    await ask.command("auth", "unlock", ById(id=user_id))
    return success({})


@router.post(
    "/me/email/verification",
    operation_id="askToVerify",
    summary="Have a link sent that shows that one's address is one's own",
    status_code=202,
    responses=documented(answer("AskedFor", AskedFor), 202, conflict="no mails are sent from here"),
)
async def ask_to_verify(ask: Asking) -> Response:
    await ask.command("auth", "ask_to_verify", NoRequest())
    return success({}, 202)


@router.post(
    "/{id}/password/reset-link",
    operation_id="makeResetLink",
    summary="Make a link with which somebody chooses another password (admin)",
    description="It works once, for 15 minutes, and ends those before. It goes by mail; where no mails are sent the "
    "answer has it, to hand over. It is shown once: a repeat with the same Idempotency-Key does not show it again.",
    responses=documented(answer("ResetLink", ResetLinkView), conflict="they are deactivated"),
)
async def make_reset_link(user_id: UserId, ask: Asking) -> Response:
    return success(await ask.command("auth", "reset_link", ById(id=user_id)))
