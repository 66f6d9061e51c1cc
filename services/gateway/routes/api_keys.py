"""API keys: which machines ask for what, under which secrets."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.api_keys import (
    ApiKeyChange,
    ApiKeyView,
    ChangeApiKey,
    CreateApiKey,
    CreatedSecretView,
    RemoveSecret,
)
from libs.contracts.requests import ById, Nothing
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import Paging, page
from services.gateway.responses import OF_A_VERSION, answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/api-keys", tags=["api-keys"], route_class=PagerRoute, dependencies=[SIGNED_IN])

ApiKeyId = Annotated[UUID, Path(alias="id")]
SecretId = Annotated[UUID, Path(alias="secretId")]

_API_KEY = one("apiKey", ApiKeyView, "ApiKey")
_OVER = "it has expired, and stays so"


@router.post(
    "",
    operation_id="createApiKey",
    summary="Create an API key; it is shown once, here",
    description="Its scopes are actions that its maker may do; with `teamId` it does them to what is that team's and "
    "to nothing else. Keys of a team are made by its managers, others by leads and admins.",
    status_code=201,
    responses=documented(_API_KEY, 201, conflict="there are a hundred keys of yours; or the key had another body"),
)
async def create_api_key(body: CreateApiKey, ask: Asking) -> Response:
    return item("apiKey", await ask.command("auth", "create_api_key", body), 201)


@router.get(
    "",
    operation_id="listApiKeys",
    summary="List the API keys that one may manage",
    responses=documented(several("apiKeys", ApiKeyView, "ApiKeys")),
)
async def list_api_keys(paging: Paging, ask: Asking) -> Response:
    return page("apiKeys", await ask.query("auth", "api_keys", paging), paging)


@router.get("/{id}", operation_id="getApiKey", summary="One API key", responses=documented(_API_KEY))
async def get_api_key(key_id: ApiKeyId, ask: Asking) -> Response:
    return item("apiKey", await ask.query("auth", "api_key", ById(id=key_id)))


@router.patch(
    "/{id}",
    operation_id="changeApiKey",
    summary="Change an API key's name or end, or take scopes away",
    responses=documented(_API_KEY, conflict=_OVER),
)
async def change_api_key(key_id: ApiKeyId, body: ApiKeyChange, ask: Asking) -> Response:
    request = complete(ChangeApiKey, body, id=key_id)
    return item("apiKey", await ask.command("auth", "change_api_key", request))


@router.delete(
    "/{id}",
    operation_id="revokeApiKey",
    summary="Revoke an API key: from now on it is refused",
    responses=documented(answer("ApiKeyRevoked", Nothing)),
)
async def revoke_api_key(key_id: ApiKeyId, ask: Asking) -> Response:
    await ask.command("auth", "revoke_api_key", ById(id=key_id))
    return success({})


@router.post(
    "/{id}/take-over",
    operation_id="takeOverApiKey",
    summary="Make an API key its team's own, so that it goes on without its maker",
    description="It may then do what its scopes say as a manager of the team may. Whoever made it still knows what its "
    "machine shows: give it another secret.",
    responses=documented(_API_KEY, conflict=f"it is of no team; or {_OVER}"),
)
async def take_over_api_key(key_id: ApiKeyId, ask: Asking) -> Response:
    return item("apiKey", await ask.command("auth", "take_over_api_key", ById(id=key_id)))


@router.post(
    "/{id}/secrets",
    operation_id="addApiKeySecret",
    summary="A second secret, for the machine to change over to; it is shown once, here",
    status_code=201,
    responses=documented(
        one("secret", CreatedSecretView, "ApiKeySecret"),
        201,
        conflict=f"two are live (`details.secrets`): remove one first; or {_OVER}; or the Idempotency-Key had another "
        "body",
    )
    | OF_A_VERSION,
)
async def add_api_key_secret(key_id: ApiKeyId, ask: Asking) -> Response:
    return item("secret", await ask.command("auth", "add_api_key_secret", ById(id=key_id)), 201)


@router.delete(
    "/{id}/secrets/{secretId}",
    operation_id="removeApiKeySecret",
    summary="Remove one of two secrets: from now on it is refused",
    responses=documented(answer("ApiKeySecretRemoved", Nothing), conflict=f"it is the only one; or {_OVER}")
    | OF_A_VERSION,
)
async def remove_api_key_secret(key_id: ApiKeyId, secret_id: SecretId, ask: Asking) -> Response:
    body = RemoveSecret(id=key_id, secret_id=secret_id)
    await ask.command("auth", "remove_api_key_secret", body)
    return success({})
