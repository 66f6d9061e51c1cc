"""The deciders of escalation: what loads and folds a policy, and an escalation in each lane."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

from libs.chassis.store.snapshots import Shape
from libs.chassis.store.work import Decider
from libs.contracts.model import Lane
from services.escalation.domain import decisions, escalations, policies

POLICY: Decider[policies.State, policies.Command] = Decider(
    policies.initial,
    policies.evolve,
    policies.decide,
    team=lambda state: state.plan.team_id if isinstance(state, policies.Policy) else None,
    version=lambda state: state.version if isinstance(state, policies.Policy) else 0,
)


def _team(state: escalations.State) -> UUID | None:
    match state:
        case escalations.NotStarted() | escalations.Cancelled(run=None):
            return None
        case _:
            return state.run.brief.team_id if state.run else None


_SHAPE: Shape[escalations.State] = Shape(escalations.evolve, *get_args(escalations.State))


def _escalation(lane: Lane) -> Decider[escalations.State, escalations.Command]:
    return Decider(
        escalations.initial, escalations.evolve, decisions.decide, lane=lambda _: lane, team=_team, shape=_SHAPE
    )


ESCALATION = {lane: _escalation(lane) for lane in Lane}
"""An escalation travels in its incident's present lane, also one that is cancelled before we know the incident."""
ANY_LANE = ESCALATION[Lane.ROUTINE]
"""For reading: the lanes differ in nothing that folds."""
