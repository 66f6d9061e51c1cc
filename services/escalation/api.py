"""The requests that escalation answers: policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.chassis.consume.arrival import Arrival
from libs.chassis.requests.auditing import add_audit
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.escalation import ChangePolicy, CreatePolicy, Level, PolicyList, PolicyView, TargetType
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Invalid, ListPage, NoSuchTeam, Nothing
from services.escalation import application
from services.escalation.application import POLICY
from services.escalation.domain import policies
from services.escalation.projections import POLICIES, audit, policy_row
from services.escalation.projections import POLICY as POLICY_ROW
from services.escalation.replicas import inactive_people, unknown_targets


def api(arrival: Arrival) -> Requests:
    """Leads and admins write policies; everybody may read whom they page.

    `arrival`: how a command waits for users and schedules that were made a moment ago.
    """
    requests = Requests("escalation")
    add_audit(requests, Trail(audit))

    async def targets_arrive(body: CreatePolicy | ChangePolicy, caller: Caller) -> None:
        caller.require(Action.POLICIES_WRITE)
        levels = body.levels or ()
        _check_teams(levels)
        # Also somebody who is deactivated as far as is known here: they may be back.
        await arrival.of(
            lambda work: bool(unknown_targets(work, levels) or inactive_people(work, _people(levels))), "auth", "oncall"
        )

    @requests.handle("create_policy", CreatePolicy, action=Action.POLICIES_WRITE, before=targets_arrive)
    def create_policy(work: Work, body: CreatePolicy, caller: Caller) -> PolicyView:
        caller.require(Action.POLICIES_WRITE)
        _check_targets(work, body.levels, ())
        plan = policies.Plan(body.name, body.priority_filter, body.repeat, body.levels)
        policy_id = work.new_id()
        command = policies.CreatePolicy(policy_id, plan, created_by=str(caller.user_id), now=work.now)
        work.decide(POLICY, policy_id, command, caller.cause(work))
        state = work.state(POLICY, policy_id)
        assert isinstance(state, policies.Policy)  # noqa: S101 - just made
        return _view(work, policy_row(state, updated_at=work.now))

    @requests.handle(
        "change_policy", ChangePolicy, action=Action.POLICIES_WRITE, before=targets_arrive, versioned=POLICY
    )
    def change_policy(work: Work, body: ChangePolicy, caller: Caller) -> PolicyView:
        caller.require(Action.POLICIES_WRITE)
        before = work.state(POLICY, body.id)
        _check_targets(work, body.levels or (), before.plan.levels if isinstance(before, policies.Policy) else ())
        command = policies.ChangePolicy(body.name, body.priority_filter, body.repeat, body.levels)
        changed = work.decide(POLICY, body.id, command, caller.cause(work))
        state = work.state(POLICY, body.id)
        if changed and isinstance(state, policies.Policy):
            return _view(work, policy_row(state, updated_at=work.now))
        return _read(work, body)

    async def uses_arrive(_body: ById, caller: Caller) -> None:
        caller.require(Action.POLICIES_WRITE)
        await arrival.of_everything("incidents")

    @requests.handle("delete_policy", ById, action=Action.POLICIES_WRITE, before=uses_arrive, versioned=POLICY)
    def delete_policy(work: Work, body: ById, caller: Caller) -> Nothing:
        caller.require(Action.POLICIES_WRITE)
        application.delete_policy(work, body.id, caller.cause(work))
        return Nothing()

    @requests.query("policy", ById, action=Action.POLICIES_READ)
    def policy(work: Work, body: ById, _caller: Caller) -> PolicyView:
        return _read(work, body)

    @requests.query("policies", ListPage, action=Action.POLICIES_READ)
    def policies_(work: Work, body: ListPage, _caller: Caller) -> PolicyList:
        page = POLICIES.page(work, body)
        return PolicyList(**page.told("policies", _views(work, page.rows)))

    return requests


def _read(work: Work, body: ById | ChangePolicy) -> PolicyView:
    for row in work.fetch(POLICY_ROW, id=body.id):
        return _view(work, row)
    raise policies.NoSuchPolicy(field="id")


def _view(work: Work, row: Mapping[str, Any]) -> PolicyView:
    return next(_views(work, [row]))


def _views(work: Work, rows: Sequence[Mapping[str, Any]]) -> Iterator[PolicyView]:
    views = [PolicyView.model_validate(row) for row in rows]
    inactive = set(inactive_people(work, (person for view in views for person in _people(view.levels))))
    for view in views:
        left_out = tuple(person for person in dict.fromkeys(_people(view.levels)) if person in inactive)
        yield view.model_copy(update={"inactive": left_out})


def _people(levels: Iterable[Level]) -> Iterator[UUID]:
    """Whom these levels name."""
    yield from (t.id for level in levels for t in level.targets if t.type is TargetType.USER and t.id is not None)


def _check_teams(levels: tuple[Level, ...]) -> None:
    """Raises Invalid with the field of the first team that is named: there are none."""
    for i, level in enumerate(levels):
        for j, target in enumerate(level.targets):
            if target.type is TargetType.TEAM:
                raise NoSuchTeam(field=f"levels.{i}.targets.{j}.id")


def _check_targets(work: Work, levels: tuple[Level, ...], before: tuple[Level, ...]) -> None:
    """Raises Invalid with the field of the first user or schedule that is not known, or who is newly named in vain.

    Whoever was named `before` may stay, though they are deactivated: nobody has to mend that to change something else.
    """
    if missing := unknown_targets(work, levels):
        raise Invalid("there is no such user or schedule", field=missing[0])
    inactive = set(inactive_people(work, _people(levels))) - set(_people(before))
    for i, level in enumerate(levels):
        for j, target in enumerate(level.targets):
            if target.type is TargetType.USER and target.id in inactive:
                raise Invalid("this person is deactivated", field=f"levels.{i}.targets.{j}.id")
