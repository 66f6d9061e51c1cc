"""Every operation of every service against every kind of caller: who may not do what it is to anything is refused."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from docs.permissions import apis
from libs.chassis.requests.callers import Caller, Unsure
from libs.chassis.requests.server import Requests, RequestServer
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import PERMISSIONS, Action, Need
from libs.contracts.requests import ErrorKind, Unauthenticated
from libs.contracts.subjects import Header
from services.auth.device_credentials import USES

TEAM = UUID(int=7)
ONLY_READS = frozenset({Action.INCIDENTS_READ, Action.POLICIES_READ})


def _caller(role: Role, **more: Any) -> Caller:
    return Caller(uuid4(), frozenset({Role.USER, role}), uuid4(), "phone", datetime(2030, 1, 1, tzinfo=UTC), **more)


CALLERS = {
    "user": _caller(Role.USER),
    "member": _caller(Role.USER, teams={TEAM: TeamRole.MEMBER}),
    "manager": _caller(Role.USER, teams={TEAM: TeamRole.MANAGER}),
    "lead": _caller(Role.LEAD),
    "admin": _caller(Role.ADMIN),
    "admin, long unheard of": replace(_caller(Role.ADMIN), certain=False),
    "an admin's key that only reads": _caller(Role.ADMIN, scopes=ONLY_READS),
    "an admin's key of a team": _caller(Role.ADMIN, bound=TEAM),
    "an admin's phone that is not signed in": _caller(Role.ADMIN, scopes=frozenset(USES)),
}
# Written out here as well: a table that is compared with itself holds whatever it says.
OPEN = {
    "user": {Need.OWN, Need.MEMBER},
    "member": {Need.OWN, Need.MEMBER},
    "manager": {Need.OWN, Need.MEMBER, Need.MANAGER},
    "lead": {Need.OWN, Need.MEMBER, Need.MANAGER},
    "admin": set(Need),
    "admin, long unheard of": {Need.OWN, Need.MEMBER},
    "an admin's key that only reads": set(Need),
    "an admin's key of a team": set(Need),
    "an admin's phone that is not signed in": set(Need),
}
OF_NO_TEAM = {
    Action.PEOPLE_READ,
    Action.PEOPLE_WRITE,
    Action.PEOPLE_ACCESS,
    Action.TEAMS_WRITE,
    Action.AUDIT_READ,
    Action.MAINTENANCE,
    Action.FEATURES,
}
"""What whoever is bound to a team can do to nothing."""
SERVED = [(requests, name) for requests in apis() for name, op in requests.operations.items() if op.action is not None]


@dataclass
class _Tokens:
    async def verify(self, token: str | None) -> Caller:
        if token is None:
            raise Unauthenticated
        return CALLERS[token]


class _Nothing:
    """Behind the doors: whoever comes so far has been let in."""

    class Reached(Exception):
        pass

    def __getattr__(self, name: str) -> Any:
        raise self.Reached


async def _refused(requests: Requests, name: str, who: str | None) -> ErrorKind | None:
    """Why somebody is turned away before their request is even read; None: they are not."""
    server = RequestServer(requests, cast("Any", _Nothing()), cast("Any", _Nothing()), cast("Any", _Tokens()))
    reply = await server.answer(name, b"not even JSON", {} if who is None else {Header.TOKEN: who})
    assert reply.error is not None
    return None if reply.error.kind is ErrorKind.VALIDATION else reply.error.kind


@pytest.mark.parametrize(("requests", "name"), SERVED, ids=[f"{r.service}.{name}" for r, name in SERVED])
def test_whoever_may_not_is_refused_before_anything_is_read(requests: Requests, name: str) -> None:
    action = requests.operations[name].action
    assert action is not None
    assert asyncio.run(_refused(requests, name, None)) is ErrorKind.UNAUTHENTICATED
    for who, caller in CALLERS.items():
        let_in = PERMISSIONS[action].need in OPEN[who] and (caller.scopes is None or action in caller.scopes)
        let_in = let_in and not (caller.bound is not None and action in OF_NO_TEAM)
        expected = {True: None, False: ErrorKind.FORBIDDEN}[let_in]
        if not let_in and not caller.certain:
            expected = Unsure.kind
        assert asyncio.run(_refused(requests, name, who)) is expected, who


def test_there_are_operations_of_every_service() -> None:
    assert {requests.service for requests, _ in SERVED} == {"auth", "incidents", "escalation", "oncall", "notifier"}
    assert len(SERVED) > 50
