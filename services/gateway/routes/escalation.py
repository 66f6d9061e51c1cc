"""Escalation policies."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.escalation import ChangePolicy, CreatePolicy, PoliciesQuery, PolicyChange, PolicyView
from libs.contracts.requests import ById, Nothing
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import OfTeam, Paging, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/escalation", tags=["escalation"], route_class=PagerRoute, dependencies=[SIGNED_IN])

PolicyId = Annotated[UUID, Path(alias="id")]

_POLICY = one("policy", PolicyView, "Policy")


@router.post(
    "/policies",
    operation_id="createPolicy",
    summary="Create a policy",
    status_code=201,
    responses=documented(_POLICY, 201),
)
async def create_policy(body: CreatePolicy, ask: Asking) -> Response:
    return item("policy", await ask.command("escalation", "create_policy", body), 201)


@router.get(
    "/policies",
    operation_id="listPolicies",
    summary="List policies",
    responses=documented(several("policies", PolicyView, "Policies"), missing="no such team (`teamId`)"),
)
async def list_policies(paging: Paging, ask: Asking, team_id: OfTeam = None) -> Response:
    asked = paging if team_id is None else complete(PoliciesQuery, paging, team_id=team_id)
    return page("policies", await ask.query("escalation", "policies", asked), paging)


@router.get("/policies/{id}", operation_id="getPolicy", summary="One policy", responses=documented(_POLICY))
async def get_policy(policy_id: PolicyId, ask: Asking) -> Response:
    return item("policy", await ask.query("escalation", "policy", ById(id=policy_id)))


@router.patch("/policies/{id}", operation_id="changePolicy", summary="Change a policy", responses=documented(_POLICY))
async def change_policy(policy_id: PolicyId, body: PolicyChange, ask: Asking) -> Response:
    request = complete(ChangePolicy, body, id=policy_id)
    return item("policy", await ask.command("escalation", "change_policy", request))


@router.delete(
    "/policies/{id}",
    operation_id="deletePolicy",
    summary="Delete a policy",
    responses=documented(
        answer("PolicyDeleted", Nothing),
        conflict="incidents that page by it or integrations need it (`details.usedBy`), or Pager itself",
    ),
)
async def delete_policy(policy_id: PolicyId, ask: Asking) -> Response:
    return success(await ask.command("escalation", "delete_policy", ById(id=policy_id)))
