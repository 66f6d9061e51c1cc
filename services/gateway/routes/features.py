"""Feature flags (admin): for whom something is switched on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.consume.owner import NoRequest
from libs.contracts.features import FeatureRule, FeatureView, RollOut, SetFeature, Share
from libs.contracts.model import Contract
from services.gateway.envelope import Problem, item
from services.gateway.forwarding import Ask, complete
from services.gateway.front import front_of
from services.gateway.responses import documented, one
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/admin/features", tags=["admin"], route_class=PagerRoute, dependencies=[SIGNED_IN])
_SET = "set by environment (`FEATURE_<NAME>` or `FEATURE_<NAME>_PERCENTAGE`)"
_CHANGED = documented(
    one("feature", FeatureView, "Feature"), conflict=_SET, missing="no such feature; it names those that there are"
)
Name = Annotated[str, Path(min_length=1, max_length=64)]


@router.get(
    "",
    operation_id="listFeatures",
    summary="The flags that exist, and for whom each is on (admin)",
    responses=documented(one("features", list[FeatureView], "Features")),
)
async def list_features(ask: Asking, request: Request) -> Response:
    found = await ask.query("auth", "features", NoRequest())
    features = front_of(request).features
    return item("features", [features.shown(view) for view in found["features"]])


@router.put(
    "/{flag}",
    operation_id="setFeature",
    summary="For whom it is on (admin)",
    responses=_CHANGED,
)
async def set_feature(ask: Asking, request: Request, flag: Name, body: FeatureRule) -> Response:
    """`{"enabled": true}` alone: for everybody. With `percentage`, `userIds` or both: for that share of everybody, and
    for those people. It holds at every gateway within a second.
    """
    return await _change(ask, request, flag, "set_feature", complete(SetFeature, body, flag=flag))


@router.post(
    "/{flag}/enable",
    operation_id="enableFeature",
    summary="Switch it on for everybody (admin)",
    responses=_CHANGED,
)
async def enable_feature(ask: Asking, request: Request, flag: Name) -> Response:
    return await _change(ask, request, flag, "set_feature", SetFeature(flag=flag, enabled=True))


@router.post(
    "/{flag}/rollout",
    operation_id="rollOutFeature",
    summary="Switch it on for a share of everybody (admin)",
    responses=_CHANGED,
)
async def roll_out_feature(ask: Asking, request: Request, flag: Name, body: Share) -> Response:
    """Whoever has it keeps it when the percentage grows; those whom it names keep it in any case."""
    return await _change(ask, request, flag, "roll_out_feature", complete(RollOut, body, flag=flag))


async def _change(ask: Ask, request: Request, flag: str, operation: str, wanted: Contract) -> Response:
    front = front_of(request)
    if flag in front.features.environment:
        # Only whoever may change flags is told who sets them.
        await ask.query("auth", "features", NoRequest())
        raise Problem(
            "CONFLICT", f"set by environment (`FEATURE_{flag.upper()}` or `FEATURE_{flag.upper()}_PERCENTAGE`)"
        )
    found = await ask.command("auth", operation, wanted)
    await front.heard.ask()  # here it holds with the answer, elsewhere within a second
    return item("feature", found)
