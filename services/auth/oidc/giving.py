"""Giving people what their groups give, and taking what those gave that they are in no longer."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

import structlog

from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import UserChange
from libs.contracts.model import Role
from services.auth import application, entities, team_room
from services.auth.domain.users import LastAdmin, Registered, SetMembership, TooManyTeams
from services.auth.oidc.grants import Grants
from services.auth.queries import TEAM_NAMED

_log = structlog.get_logger()


def give(work: Work, user_id: UUID, granted: Grants, managed: Grants) -> None:
    """`managed`: what some group gives. All else stays as people have given it.

    Where a team is not there, or has no room, they are signed in without it.
    """
    named = {name: work.fetch(TEAM_NAMED, name=name) for name in managed.teams}
    teams = {name: rows[0]["id"] for name, rows in named.items() if rows}
    rooms = team_room.held(work, teams.values())  # before any person's row, as others do
    cause = work.begin(entities.AUTH)
    _give_roles(work, _person(work, user_id), granted, managed, cause)
    for name, team_id in teams.items():
        person, role = _person(work, user_id), granted.teams.get(name)
        room = rooms.get(team_id)
        if room is None or (role is not None and room.is_full and team_id not in person.teams):
            _log.warning("somebody's group gives a team that has no room", team_id=str(team_id))
            continue
        try:
            work.decide(entities.USERS, user_id, SetMembership(user_id, team_id, role, cause.actor, work.now), cause)
        except TooManyTeams:
            _log.warning("somebody's groups give too many teams", user_id=str(user_id), team_id=str(team_id))


def _give_roles(work: Work, person: Registered, granted: Grants, managed: Grants, cause: Cause) -> None:
    roles = set(granted.roles | (frozenset(person.roles) - managed.roles)) or {Role.USER}
    if not managed.roles or roles == set(person.roles):
        return
    try:
        _change(work, person, roles, cause)
    except LastAdmin:  # whatever the provider says of them: somebody must be able to let people in
        if roles | {Role.ADMIN} != set(person.roles):
            _change(work, person, roles | {Role.ADMIN}, cause)


def _change(work: Work, person: Registered, roles: Collection[Role], cause: Cause) -> None:
    application.change_user(work, person.user_id, UserChange(roles=in_order(roles)), cause)


def _person(work: Work, user_id: UUID) -> Registered:
    person = work.state(entities.USERS, user_id)
    assert isinstance(person, Registered)  # noqa: S101 - looked at before; narrows for the type checker
    return person


def in_order(roles: Collection[Role]) -> tuple[Role, ...]:
    return tuple(role for role in Role if role in roles)
