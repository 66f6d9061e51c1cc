"""Auth's operations about feature flags, which the gateways follow (docs/adr/0073)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Decider, Work
from libs.contracts.envelope import Actor
from libs.contracts.features import (
    SWITCHES,
    Feature,
    FeatureRow,
    FeaturesView,
    FeatureView,
    RollOut,
    SetFeature,
    feature_entity,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import Invalid, NotFound
from services.auth.domain import features
from services.auth.queries import FEATURES as ROWS
from services.auth.queries import PEOPLE

FEATURES: Decider[features.Flag, features.Command] = Decider(features.initial, features.evolve, features.decide)


def add_feature_operations(requests: Requests) -> None:
    """Admins say for whom; gateways ask what holds (`doors.py`)."""

    @requests.handle("set_feature", SetFeature, action=Action.FEATURES, turn=_one)
    def set_feature(work: Work, body: SetFeature, caller: Caller) -> FeatureView:
        caller.require(Action.FEATURES)
        flag = _known(body.flag)
        _check_people(work, body.user_ids)
        command = features.SetFeature(flag, body.enabled, body.percentage, body.user_ids)
        return _decided(work, flag, command, caller)

    @requests.handle("roll_out_feature", RollOut, action=Action.FEATURES, turn=_one)
    def roll_out_feature(work: Work, body: RollOut, caller: Caller) -> FeatureView:
        caller.require(Action.FEATURES)
        flag = _known(body.flag)
        return _decided(work, flag, features.RollOut(flag, body.percentage), caller)

    @requests.query("features", NoRequest, action=Action.FEATURES)
    def of_admins(work: Work, _body: NoRequest, _caller: Caller) -> FeaturesView:
        return FeaturesView(features=tuple(_views(work).values()))


def rows_now(work: Work) -> tuple[FeatureRow, ...]:
    """Of those that were changed."""
    return tuple(FeatureRow(flag=row["flag"], **_rule(row)) for row in work.fetch(ROWS))


def _one(body: SetFeature | RollOut, _caller: Caller) -> UUID:
    return feature_entity(body.flag)


def _known(flag: str) -> Feature:
    """Raises NotFound."""
    try:
        return Feature(flag)
    except ValueError:
        raise NotFound(f"there is no such feature; there are {', '.join(Feature)}", field="flag") from None


def _check_people(work: Work, user_ids: tuple[UUID, ...]) -> None:
    """Raises Invalid."""
    found = {row["id"] for row in work.fetch(PEOPLE, ids=list(user_ids))} if user_ids else set()
    for place, user_id in enumerate(user_ids):
        if user_id not in found:
            raise Invalid("there is no such person", field=f"userIds.{place}")


def _decided(work: Work, flag: Feature, command: features.Command, caller: Caller) -> FeatureView:
    events = work.decide(FEATURES, feature_entity(flag), command, caller.cause(work))
    if not events:
        return _views(work)[flag]
    state = work.state(FEATURES, feature_entity(flag))
    return FeatureView(
        flag=flag,
        switches=SWITCHES[flag],
        enabled=state.enabled,
        percentage=state.percentage,
        user_ids=state.user_ids,
        changed_by=events[0].actor,
        changed_at=events[0].time,
    )


def _views(work: Work) -> dict[Feature, FeatureView]:
    rows = {row["flag"]: row for row in work.fetch(ROWS)}
    return {flag: _view(flag, rows.get(flag)) for flag in Feature}


def _view(flag: Feature, row: dict[str, Any] | None) -> FeatureView:
    if row is None:
        return FeatureView(flag=flag, switches=SWITCHES[flag])
    changed_by = Actor.model_validate_json(row["changed_by"])
    known = {"changed_by": changed_by, "changed_at": row["changed_at"]}
    return FeatureView(flag=flag, switches=SWITCHES[flag], **_rule(row), **known)


def _rule(row: dict[str, Any]) -> dict[str, Any]:
    return {"enabled": row["enabled"], "percentage": row["percentage"], "user_ids": tuple(row["user_ids"])}
