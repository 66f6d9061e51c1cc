"""The public keys of access tokens (RFC 7517), for whoever wants to check one."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from libs.contracts.auth import KeySet
from services.gateway.front import front_of
from services.gateway.route import PagerRoute

_JWK_SET = "application/jwk-set+json"


class _JwkSet(JSONResponse):
    """For the documentation."""

    media_type = _JWK_SET


router = APIRouter(tags=["keys"], route_class=PagerRoute)


@router.get(
    "/.well-known/jwks.json",
    operation_id="getKeys",
    summary="Public keys of the access tokens",
    response_class=_JwkSet,
    responses={200: {"model": KeySet}},
)
async def get_keys(request: Request) -> Response:
    keys = await front_of(request).callers.keys()
    return Response(keys.to_json(), media_type=_JWK_SET, headers={"Cache-Control": "public, max-age=300"})
