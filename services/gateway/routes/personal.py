"""What is held on a person: told to them, and erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from libs.contracts.erasure import ConfirmErasure, EraseUser, PersonHeld
from libs.contracts.requests import Nothing
from services.gateway.envelope import success
from services.gateway.exporting import LONGEST, document
from services.gateway.forwarding import complete
from services.gateway.front import front_of
from services.gateway.responses import answer, documented
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/users", tags=["users"], route_class=PagerRoute, dependencies=[SIGNED_IN])


@router.get(
    "/me/export",
    operation_id="exportMe",
    summary="All that is held on the caller, in one document",
    responses=documented(answer("Export", PersonHeld)) | {429: {"description": "RATE_LIMITED: an export is under way"}},
)
async def export_me(request: Request, ask: Asking) -> Response:
    """No password, token or key stands in it, nor a hash of one. It may take minutes, and is sent as it is found: an
    answer that ends early is not whole."""
    exports, person = front_of(request).exports, request.state.user_id
    exports.check(person)
    pieces = document(ask, monotonic() + LONGEST)
    first = await anext(pieces)  # what is refused is refused before anything is sent

    async def body() -> AsyncIterator[bytes]:
        with exports.of(person):
            yield b'{"success":true,"data":' + first
            async for piece in pieces:
                yield piece
            yield b"}"

    shown = {"Content-Disposition": 'attachment; filename="pager-export.json"'}
    return StreamingResponse(body(), media_type="application/json", headers=shown)


@router.delete(
    "/{id}",
    operation_id="eraseUser",
    summary="Erase a person (admin)",
    description="For good, and only somebody who is deactivated: `confirmEmail` is their address. Their name, address, "
    "number, devices and sessions are gone everywhere; what they did stays, by an id that nobody can name.",
    responses=documented(
        answer("UserErased", Nothing), conflict="they are active, or no ledger of erasures was set up"
    ),
)
async def erase_user(user_id: Annotated[UUID, Path(alias="id")], body: ConfirmErasure, ask: Asking) -> Response:
    """Said again, it is done: nobody knows the address any more, and any is right."""
    await ask.command("auth", "erase_user", complete(EraseUser, body, id=user_id))
    return success({})
