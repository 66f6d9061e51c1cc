"""Who may do what, to what belongs to whom."""

from __future__ import annotations

from uuid import UUID

import pytest

from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import PERMISSIONS, Action, Need, Permission, Rights, Sight, sight

OURS, THEIRS = UUID(int=1), UUID(int=2)
USER, LEAD, ADMIN = (Rights(frozenset({Role.USER, role})) for role in (Role.USER, Role.LEAD, Role.ADMIN))
MEMBER = Rights(frozenset({Role.USER}), {OURS: TeamRole.MEMBER})
MANAGER = Rights(frozenset({Role.USER}), {OURS: TeamRole.MANAGER})
READ, WRITE, PEOPLE = Action.POLICIES_READ, Action.POLICIES_WRITE, Action.PEOPLE_WRITE


def test_every_action_has_a_permission() -> None:
    assert set(PERMISSIONS) == set(Action)
    assert all(isinstance(permission, Permission) and permission.what for permission in PERMISSIONS.values())
    assert not [a for a, permission in PERMISSIONS.items() if permission.need is Need.OWN and permission.machines]


@pytest.mark.parametrize(
    ("rights", "action", "organisation", "ours", "theirs"),
    [
        (USER, Action.ME, True, True, True),
        (USER, READ, True, False, False),
        (USER, WRITE, False, False, False),
        (MEMBER, READ, True, True, False),
        (MEMBER, WRITE, False, False, False),
        (MANAGER, READ, True, True, False),
        (MANAGER, WRITE, False, True, False),
        (MANAGER, PEOPLE, False, False, False),
        (LEAD, READ, True, False, False),
        (LEAD, WRITE, True, False, False),
        (LEAD, PEOPLE, False, False, False),
        (ADMIN, READ, True, True, True),
        (ADMIN, WRITE, True, True, True),
        (ADMIN, PEOPLE, True, True, True),
    ],
)
def test_what_belongs_to_a_team_is_its_members_affair(
    rights: Rights, action: Action, organisation: bool, ours: bool, theirs: bool
) -> None:
    assert [rights.allow(action, team) for team in (None, OURS, THEIRS)] == [organisation, ours, theirs]
    assert rights.allow_somewhere(action) is (organisation or ours or theirs)


def test_a_scope_takes_away_and_never_gives() -> None:
    key = Rights(frozenset({Role.ADMIN}), scopes=frozenset({READ, "unheard.of"}))
    assert [action for action in Action if key.allow(action)] == [READ]
    assert not Rights(frozenset({Role.USER}), scopes=frozenset({WRITE})).allow(WRITE)


def test_who_is_bound_to_a_team_acts_on_nothing_else() -> None:
    key = Rights(frozenset({Role.ADMIN}), {OURS: TeamRole.MEMBER}, bound=OURS)
    assert [key.allow(READ, team) for team in (None, OURS, THEIRS)] == [False, True, False]
    assert not key.allow(PEOPLE), "people belong to no team"
    assert not key.allow_somewhere(PEOPLE)
    assert not key.allow_somewhere(Action.PEOPLE_READ)
    assert key.allow_somewhere(READ)


@pytest.mark.parametrize(
    ("rights", "seen"),
    [
        (ADMIN, Sight(everything=True, organisation=True, teams=frozenset())),
        (LEAD, Sight(everything=False, organisation=True, teams=frozenset())),
        (MEMBER, Sight(everything=False, organisation=True, teams=frozenset({OURS}))),
        (Rights(ADMIN.roles, scopes=frozenset()), Sight(everything=False, organisation=False, teams=frozenset())),
        (Rights(ADMIN.roles, bound=OURS), Sight(everything=False, organisation=False, teams=frozenset({OURS}))),
    ],
)
def test_a_list_shows_what_one_by_one_would_be_shown(rights: Rights, seen: Sight) -> None:
    assert sight(rights, READ) == seen
    for team in (None, OURS, THEIRS):
        listed = seen.everything or (seen.organisation if team is None else team in seen.teams)
        assert listed is rights.allow(READ, team)
