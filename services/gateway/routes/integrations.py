"""Integrations: who sends alerts, under which key."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.incidents import CreateIntegration, IntegrationView
from libs.contracts.requests import ById
from services.gateway.envelope import item, page
from services.gateway.listing import Paging
from services.gateway.responses import documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/integrations", tags=["integrations"], route_class=PagerRoute, dependencies=[SIGNED_IN])

_INTEGRATION = one("integration", IntegrationView, "Integration")


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
    return page("integrations", await ask.query("incidents", "integrations", paging), paging.page, paging.limit)


@router.get("/{id}", operation_id="getIntegration", summary="One integration", responses=documented(_INTEGRATION))
async def get_integration(integration_id: Annotated[UUID, Path(alias="id")], ask: Asking) -> Response:
    return item("integration", await ask.query("incidents", "integration", ById(id=integration_id)))
