"""Integrations: who sends alerts, under which keys."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.integrations import (
    ChangeIntegration,
    CreatedKeyView,
    CreateIntegration,
    IntegrationChange,
    IntegrationView,
    RevokeKey,
)
from libs.contracts.requests import ById, Nothing
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import Paging, page
from services.gateway.responses import OF_A_VERSION, answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/integrations", tags=["integrations"], route_class=PagerRoute, dependencies=[SIGNED_IN])

IntegrationId = Annotated[UUID, Path(alias="id")]
KeyId = Annotated[UUID, Path(alias="keyId")]

_INTEGRATION = one("integration", IntegrationView, "Integration")
_NEEDED = "open incidents came by it (`details.usedBy`), or Pager itself needs it"


@router.post(
    "",
    operation_id="createIntegration",
    summary="Create an integration; its key is shown once, here",
    status_code=201,
    responses=documented(_INTEGRATION, 201),
)
async def create_integration(body: CreateIntegration, ask: Asking) -> Response:
    return item("integration", await ask.command("incidents", "create_integration", body), 201)


@router.get(
    "",
    operation_id="listIntegrations",
    summary="List integrations",
    responses=documented(several("integrations", IntegrationView, "Integrations")),
)
async def list_integrations(paging: Paging, ask: Asking) -> Response:
    return page("integrations", await ask.query("incidents", "integrations", paging), paging)


@router.get("/{id}", operation_id="getIntegration", summary="One integration", responses=documented(_INTEGRATION))
async def get_integration(integration_id: IntegrationId, ask: Asking) -> Response:
    return item("integration", await ask.query("incidents", "integration", ById(id=integration_id)))


@router.patch(
    "/{id}",
    operation_id="changeIntegration",
    summary="Change an integration; incidents that are open keep their policy",
    responses=documented(_INTEGRATION, conflict="Pager itself needs it as it is"),
)
async def change_integration(integration_id: IntegrationId, body: IntegrationChange, ask: Asking) -> Response:
    request = complete(ChangeIntegration, body, id=integration_id)
    return item("integration", await ask.command("incidents", "change_integration", request))


@router.delete(
    "/{id}",
    operation_id="deleteIntegration",
    summary="Delete an integration, with its keys",
    description="An alert that still comes with one of its keys is treated as any with an unknown key: "
    "it opens an incident on the Default policy, and is kept.",
    responses=documented(answer("IntegrationDeleted", Nothing), conflict=_NEEDED),
)
async def delete_integration(integration_id: IntegrationId, ask: Asking) -> Response:
    return success(await ask.command("incidents", "delete_integration", ById(id=integration_id)))


@router.post(
    "/{id}/keys",
    operation_id="addIntegrationKey",
    summary="A second key, for senders to change over to; it is shown once, here",
    status_code=201,
    responses=documented(
        one("key", CreatedKeyView, "IntegrationKey"),
        201,
        conflict="two keys are live (`details.keys`): revoke one first; or the Idempotency-Key had another body",
    )
    | OF_A_VERSION,
)
async def add_key(integration_id: IntegrationId, ask: Asking) -> Response:
    return item("key", await ask.command("incidents", "add_integration_key", ById(id=integration_id)), 201)


@router.delete(
    "/{id}/keys/{keyId}",
    operation_id="revokeIntegrationKey",
    summary="Revoke a key: from now on it is unknown",
    responses=documented(answer("IntegrationKeyRevoked", Nothing)) | OF_A_VERSION,
)
async def revoke_key(integration_id: IntegrationId, key_id: KeyId, ask: Asking) -> Response:
    body = RevokeKey(id=integration_id, key_id=key_id)
    return success(await ask.command("incidents", "revoke_integration_key", body))
