"""Which policy an incident runs: its own, its integration's, its team's, or Default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from libs.chassis.store.work import Work
from libs.contracts.defaults import DEFAULT_POLICY_ID
from libs.contracts.model import Priority
from services.escalation.deciders import POLICY
from services.escalation.domain import policies
from services.escalation.domain.requests import Request
from services.escalation.inputs import Inputs


class Wish(NamedTuple):
    """What the choice of a policy depends on."""

    asked: UUID | None
    team: UUID | None
    priority: Priority


def wish_of(request: Request) -> Wish:
    return Wish(request.policy_id, request.brief.team_id, request.brief.priority)


def choose_policies(
    work: Work, requests: Sequence[Request], inputs: Inputs
) -> Mapping[Wish, tuple[policies.Policy, str | None]]:
    """The policy for each wish, and why it is not the one asked for: its own where it fits, its team's, Default."""
    if not requests:
        return {}
    of_teams = inputs.policies_of({r.brief.team_id for r in requests if r.brief.team_id is not None})
    # Whoever asks can name any id; escalations of this batch are loaded before, so that none is taken for a policy.
    asked_for = (r.policy_id for r in requests if r.policy_id is not None)
    work.load(POLICY, (DEFAULT_POLICY_ID, *asked_for, *(policy for ids in of_teams.values() for policy in ids)))
    default = work.state(POLICY, DEFAULT_POLICY_ID)
    assert isinstance(default, policies.Policy)  # noqa: S101 - made before anything is served
    chosen: dict[Wish, tuple[policies.Policy, str | None]] = {}
    for wish in {wish_of(r) for r in requests}:
        policy, why = None, None
        if wish.asked is not None:
            policy, why = _fitting(work, wish.asked, wish.priority)
        instead = "Default is used"
        if policy is None and wish.team is not None:
            of_team = (_fitting(work, policy_id, wish.priority)[0] for policy_id in of_teams.get(wish.team, ()))
            policy = next((p for p in of_team if p is not None and p.plan.team_id == wish.team), None)
            instead = "its team's is used" if policy is not None else instead
        chosen[wish] = (policy or default, None if why is None else f"policy {wish.asked} {why}: {instead}")
    return chosen


def _fitting(work: Work, policy_id: UUID, priority: Priority) -> tuple[policies.Policy | None, str | None]:
    """The policy, or why it does not page about this priority."""
    match work.state(POLICY, policy_id):
        case policies.Policy(deleted=True):
            return None, "was deleted"
        case policies.Policy() as policy if policy.is_default or policy.plan.takes(priority):
            return policy, None
        case policies.Policy():
            return None, f"does not take priority {priority}"
    return None, "does not exist"
