"""People."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.consume.owner import NoRequest
from libs.contracts.auth import (
    BeginTotp,
    ChangeUser,
    ConfirmTotp,
    EndOthers,
    EndSession,
    LoseDevice,
    ProfileChange,
    RecoveryCodes,
    RegisterUser,
    RemoveTotp,
    SecondFactorView,
    SessionsOf,
    SessionView,
    TotpSecret,
    UserChange,
    UsersQuery,
    UserView,
)
from libs.contracts.invites import AskedFor, ResetLinkView
from libs.contracts.requests import ById, Nothing
from libs.contracts.texts import ONE_LINE
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.front import front_of
from services.gateway.listing import Paging, page
from services.gateway.responses import Documented, answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/users", tags=["users"], route_class=PagerRoute, dependencies=[SIGNED_IN])

UserId = Annotated[UUID, Path(alias="id")]

CODES_TRIED: Documented = {
    429: {"description": "RATE_LIMITED: too many wrong codes or passwords came from there, in this session or an hour"}
}
_USER = one("user", UserView, "User")
_LAST_ADMIN = "nobody else is an active admin"


@asynccontextmanager
async def _guessing(request: Request) -> AsyncIterator[None]:
    """Around what shows a password or a code again: whoever holds a session may guess at them. Raises Problem (429)."""
    front = front_of(request)
    address, person = front.addresses.of(request), str(request.state.user_id)
    await front.brake.turn(address, person)
    with front.brake.attempt(address, person):
        yield


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
async def list_users(
    paging: Paging,
    ask: Asking,
    q: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=255,
            pattern=ONE_LINE,
            description="Words that all occur in somebody's name, or the whole of their address.",
        ),
    ] = None,
) -> Response:
    given = {} if q is None else {"q": q}
    asked = UsersQuery(**paging.model_dump(exclude_unset=True), **given)
    return page("users", await ask.query("auth", "users", asked), paging)


@router.get("/me", operation_id="getMe", summary="The caller", responses=documented(_USER))
async def get_me(ask: Asking) -> Response:
    return item("user", await ask.query("auth", "me", NoRequest()))


@router.patch("/me", operation_id="changeMe", summary="Change the caller's own profile", responses=documented(_USER))
async def change_me(body: ProfileChange, ask: Asking) -> Response:
    return item("user", await ask.command("auth", "change_me", body))


@router.get(
    "/me/totp",
    operation_id="getSecondFactor",
    summary="The caller's second factor",
    responses=documented(one("secondFactor", SecondFactorView, "SecondFactor")),
)
async def get_second_factor(ask: Asking) -> Response:
    return item("secondFactor", await ask.query("auth", "second_factor", NoRequest()))


@router.post(
    "/me/totp",
    operation_id="beginTotp",
    summary="Make a secret for an authenticator app",
    responses=documented(answer("TotpSecret", TotpSecret), conflict="there is a second factor already") | CODES_TRIED,
)
async def begin_totp(ask: Asking, request: Request, body: Annotated[BeginTotp | None, Body()] = None) -> Response:
    """It counts from `POST /users/me/totp/confirm` on, and takes the place of one that was never confirmed. Whoever has
    not signed in within five minutes says their password as well: 403 otherwise."""
    asked = body or BeginTotp()
    if asked.current_password is None:
        return success(await ask.command("auth", "begin_totp", asked))
    async with _guessing(request):
        return success(await ask.command("auth", "begin_totp", asked))


@router.post(
    "/me/totp/confirm",
    operation_id="confirmTotp",
    summary="From now on sign in with a code beside the password",
    responses=documented(
        answer("RecoveryCodes", RecoveryCodes),
        conflict="there is a second factor already",
        missing="there is no second factor to confirm",
    )
    | CODES_TRIED,
)
async def confirm_totp(body: ConfirmTotp, ask: Asking) -> Response:
    """`recoveryCodes` are shown once: said again with the same code, it is done already and there are none."""
    return success(await ask.command("auth", "confirm_totp", body))


@router.delete(
    "/me/totp",
    operation_id="removeTotp",
    summary="Sign in with the password alone again",
    responses=documented(answer("TotpRemoved", Nothing), missing="there is no second factor") | CODES_TRIED,
)
async def remove_totp(body: RemoveTotp, ask: Asking, request: Request) -> Response:
    """For a code of the app, a recovery code, or the password."""
    async with _guessing(request):
        await ask.command("auth", "remove_totp", body)
    return success({})


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


@router.get(
    "/{id}/sessions",
    operation_id="listSessionsOf",
    summary="Where somebody is signed in (admin)",
    responses=documented(several("sessions", SessionView, "Sessions")),
)
async def list_sessions_of(user_id: UserId, paging: Paging, ask: Asking) -> Response:
    asked = SessionsOf(user_id=user_id, **paging.model_dump(exclude_unset=True))
    return page("sessions", await ask.query("auth", "sessions", asked), paging)


@router.delete(
    "/{id}/sessions",
    operation_id="endSessionsOf",
    summary="Sign somebody out everywhere (admin)",
    responses=documented(answer("SessionsEnded", Nothing)),
)
async def end_sessions_of(user_id: UserId, ask: Asking) -> Response:
    """Their devices are paged as before. Of the caller's own sessions the one that asks goes on."""
    await ask.command("auth", "end_sessions", EndOthers(user_id=user_id), repeatable=True)
    return success({})


@router.delete(
    "/{id}/sessions/{sessionId}",
    operation_id="endSessionOf",
    summary="Sign somebody out somewhere (admin)",
    responses=documented(answer("SessionEnded", Nothing)),
)
async def end_session_of(
    user_id: UserId, session_id: Annotated[UUID, Path(alias="sessionId")], ask: Asking
) -> Response:
    """Its device is paged as before, until it is removed."""
    await ask.command("auth", "end_session", EndSession(id=session_id, user_id=user_id))
    return success({})


@router.delete(
    "/{id}/totp",
    operation_id="takeTotp",
    summary="Take the second factor away from somebody who has lost it (admin)",
    responses=documented(answer("TotpTaken", Nothing)),
)
async def take_totp(user_id: UserId, ask: Asking) -> Response:
    """Their sessions end, and they are paged as before."""
    await ask.command("auth", "take_totp", ById(id=user_id))
    return success({})


# Device ids are the client's, as in `devices.py`.
@router.delete(
    "/{id}/devices/{deviceId:path}",
    operation_id="removeDeviceOf",
    summary="Sign out somebody's lost device, and page it no longer (admin)",
    responses=documented(answer("DeviceRemoved", Nothing)),
)
async def remove_device_of(
    user_id: UserId,
    device_id: Annotated[str, Path(alias="deviceId", min_length=1, max_length=255)],
    ask: Asking,
) -> Response:
    await ask.command("auth", "lose_device", LoseDevice(user_id=user_id, device_id=device_id))
    return success({})
