"""Which schedules somebody sees."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from libs.chassis.requests.callers import Caller
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import Action
from services.oncall.sights import sees, shown
from services.oncall.tests.rules import ANA, BO, layer

CORE, WEB = uuid4(), uuid4()
LAYERS = (layer("weekly", "2026-03-02T09:00", BO),)
SOMEBODY = Caller(ANA, frozenset({Role.USER}), uuid4(), "phone", datetime(2026, 3, 2, tzinfo=UTC))
MEMBER = replace(SOMEBODY, teams={CORE: TeamRole.MEMBER})
ON_IT = replace(SOMEBODY, user_id=BO)
MACHINE = replace(ON_IT, key_id=uuid4(), scopes=frozenset({Action.SCHEDULES_READ}))


@pytest.mark.parametrize(
    ("caller", "organisation", "ours", "theirs"),
    [
        (SOMEBODY, True, False, False),
        (replace(SOMEBODY, roles=frozenset({Role.LEAD})), True, False, False),
        (replace(SOMEBODY, roles=frozenset({Role.ADMIN})), True, True, True),
        (MEMBER, True, True, False),
        (ON_IT, True, True, True),
        (MACHINE, True, False, False),
        (replace(MEMBER, bound=CORE), False, True, False),
    ],
    ids=["user", "lead", "admin", "member", "participant", "machine of a participant", "machine of the team"],
)
def test_a_schedule_is_there_for_its_team_and_for_whoever_takes_turns_in_it(
    caller: Caller, organisation: bool, ours: bool, theirs: bool
) -> None:
    assert [sees(caller, team, LAYERS) for team in (None, CORE, WEB)] == [organisation, ours, theirs]


def test_a_list_is_told_whose_schedules_and_who_may_be_in_them() -> None:
    assert shown(replace(SOMEBODY, roles=frozenset({Role.ADMIN}))) is None, "all there is"
    found, of_machine = shown(MEMBER), shown(MACHINE)
    assert found is not None
    assert of_machine is not None
    assert (found.organisation, found.teams, found.theirs.obj) == (True, [CORE], [{"participants": [str(ANA)]}])
    assert of_machine.theirs.obj == [{"participants": [""]}], "which is nobody"
