"""What decisions are given where there is no database."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from libs.contracts.escalation import Paged, Target, TargetType
from libs.contracts.model import Role
from services.escalation.domain.people import MOST_OTHERS, OnCall, Others
from services.escalation.inputs import MemoryInputs, Schedule
from services.escalation.projections import Span
from services.escalation.tests.world import (
    ANN,
    BO,
    CY,
    DEE,
    LEADS_LEVEL,
    NOW,
    ON_CALL_LEVEL,
    PLAN,
    SCHEDULE,
    an_id,
    minutes,
)

ROLES = {ANN: {Role.USER}, BO: {Role.USER}, CY: {Role.LEAD, Role.ADMIN}}


def span(begin: float, end: float, user: UUID) -> Span:
    return Span(NOW + minutes(begin), NOW + minutes(end), user)


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        ((span(10, 20, BO), span(-10, 10, ANN)), OnCall(ANN, BO, 2)),
        ((span(-10, 0, ANN), span(0, 10, BO)), OnCall(BO, None, 2)),
        ((span(-10, 10, DEE), span(20, 30, BO), span(10, 20, ANN)), OnCall(None, ANN, 2)),
        ((), OnCall(None, None, 2)),
    ],
)
def test_the_nearest_shifts_of_active_people_count(shifts: tuple[Span, ...], expected: OnCall) -> None:
    found = MemoryInputs(ROLES, {SCHEDULE: Schedule(2, shifts)}).directory([PLAN], [], NOW)
    assert found.on_call == {SCHEDULE: expected}


def test_a_schedule_that_is_not_known_is_left_out() -> None:
    assert MemoryInputs(ROLES).directory([PLAN], [], NOW).on_call == {}


def test_only_who_is_asked_for_and_the_fallbacks_are_found() -> None:
    plan = replace(PLAN, levels=(LEADS_LEVEL.model_copy(update={"targets": (Target(type=TargetType.USER, id=BO),)}),))
    found = MemoryInputs(ROLES).directory([plan], [DEE], NOW)
    assert set(found.active) == {BO, CY}
    assert found.by_role == {Role.LEAD: (CY,), Role.ADMIN: (CY,)}
    assert found.everyone == ()


def test_everyone_is_only_asked_for_where_there_is_neither_lead_nor_admin() -> None:
    people = {BO: {Role.USER}, ANN: {Role.USER}}
    found = MemoryInputs(people).directory([replace(PLAN, levels=(ON_CALL_LEVEL,))], [], NOW)
    assert found.everyone == tuple(sorted(people))
    assert found.active == set()


def test_others_are_those_who_have_a_device_and_few_of_each_kind() -> None:
    people = {an_id(f"admin {n}"): {Role.ADMIN} for n in range(30)} | ROLES
    on_call = {SCHEDULE: Schedule(2, (span(-10, 10, ANN),)), an_id("nights"): Schedule(2, (span(-10, 10, BO),))}
    found = MemoryInputs(people, on_call, reachable={*people} - {BO}).others({CY}, NOW)
    assert [len(kind) for kind in found] == [MOST_OTHERS, 1, MOST_OTHERS]
    assert found.on_call == (Paged(user_id=ANN, via=f"schedule:{SCHEDULE}"),)
    assert not {BO, CY} & {p.user_id for kind in found for p in kind}
    assert MemoryInputs(people, on_call).others((), NOW) == Others()


def test_whoever_is_on_call_on_many_schedules_takes_one_place_among_the_others() -> None:
    on_call = {an_id(f"schedule {n}"): Schedule(2, (span(-10, 10, ANN),)) for n in range(2 * MOST_OTHERS)}
    on_call[UUID(int=2**128 - 1)] = Schedule(2, (span(-10, 10, BO),))
    found = MemoryInputs(ROLES, on_call, reachable=set(ROLES)).others((), NOW)
    assert {p.user_id for p in found.on_call} == {ANN, BO}
