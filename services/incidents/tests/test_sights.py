"""Who sees an incident, who may answer it, and who may do more."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from libs.chassis.consume.arrival import Seen, Unreachable
from libs.chassis.requests.callers import Caller
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Forbidden, Rejected
from services.incidents import sights
from services.incidents.domain.decisions import NoSuchIncident
from services.incidents.projections import ORGANISATION
from services.incidents.sights import Sights

TEAM, INCIDENT, ANA = UUID(int=1), UUID(int=2), UUID(int=3)


def caller(*roles: Role, **more: Any) -> Caller:
    return Caller(ANA, frozenset({Role.USER, *roles}), uuid4(), "phone", datetime(2030, 1, 1, tzinfo=UTC), **more)


OUTSIDER = caller()
MEMBER = caller(teams={TEAM: TeamRole.MEMBER})
KEY = caller(Role.ADMIN, key_id=uuid4(), scopes=frozenset({Action.INCIDENTS_READ, Action.INCIDENTS_LIST}))


def work(team_id: UUID | None, *paged: UUID, exists: bool = True) -> Any:
    """An incident of this team that has paged these people."""
    created = SimpleNamespace(team_id=team_id) if exists else None

    def fetch(_statement: Any, *, id: UUID, person: UUID | None = None) -> list[dict[str, Any]]:  # noqa: A002
        if person is not None:
            return [{"user_id": person}] if person in paged else []
        return [{"team_id": team_id or ORGANISATION}] if exists else []

    return SimpleNamespace(state=lambda _decider, _id: SimpleNamespace(created=created), fetch=fetch)


@pytest.mark.parametrize(
    ("who", "work", "read", "acknowledge", "edit"),
    [
        (OUTSIDER, work(None), None, None, None),
        (OUTSIDER, work(TEAM), NoSuchIncident, NoSuchIncident, NoSuchIncident),
        (OUTSIDER, work(TEAM, ANA), None, None, Forbidden),
        (replace(OUTSIDER, certain=False), work(TEAM, ANA), None, None, Forbidden),
        (caller(Role.LEAD), work(TEAM), NoSuchIncident, NoSuchIncident, NoSuchIncident),
        (caller(Role.ADMIN), work(TEAM), None, None, None),
        (MEMBER, work(TEAM), None, None, None),
        (MEMBER, work(None), None, None, None),
        (MEMBER, work(uuid4()), NoSuchIncident, NoSuchIncident, NoSuchIncident),
        (MEMBER, work(TEAM, exists=False), None, NoSuchIncident, NoSuchIncident),
        (KEY, work(TEAM), None, Forbidden, Forbidden),
        (replace(KEY, bound=TEAM), work(TEAM), None, Forbidden, Forbidden),
        (replace(KEY, bound=uuid4()), work(TEAM), NoSuchIncident, NoSuchIncident, NoSuchIncident),
        (replace(KEY, bound=TEAM), work(None), NoSuchIncident, NoSuchIncident, NoSuchIncident),
        # What has paged somebody is theirs, and not their machines'.
        (replace(KEY, roles=OUTSIDER.roles), work(TEAM, ANA), NoSuchIncident, NoSuchIncident, NoSuchIncident),
    ],
)
def test_what_one_may_not_see_is_not_there_and_what_one_may_not_do_is_forbidden(
    who: Caller,
    work: Any,
    read: type[Rejected] | None,
    acknowledge: type[Rejected] | None,
    edit: type[Rejected] | None,
) -> None:
    team_id = getattr(work.state(None, INCIDENT).created, "team_id", TEAM)
    assert sights.sees(work, INCIDENT, team_id, who) is (read is None)
    for operation, action, expected in (
        ("acknowledge", Action.INCIDENTS_ACKNOWLEDGE, acknowledge),
        ("resolve", Action.INCIDENTS_WRITE, acknowledge),
        ("close", Action.INCIDENTS_WRITE, acknowledge),
        ("edit", Action.INCIDENTS_WRITE, edit),
    ):
        assert _refused(work, who, operation, action) is expected, operation


def test_a_phone_with_less_than_its_persons_rights_acknowledges_what_it_rang_for_and_no_more() -> None:
    phone = replace(OUTSIDER, scopes=frozenset({Action.INCIDENTS_ACKNOWLEDGE, Action.INCIDENTS_LIST}))
    rang = work(TEAM, ANA)
    assert _refused(rang, phone, "acknowledge", Action.INCIDENTS_ACKNOWLEDGE) is None
    assert _refused(rang, phone, "resolve", Action.INCIDENTS_WRITE) is Forbidden
    assert _refused(work(TEAM), phone, "acknowledge", Action.INCIDENTS_ACKNOWLEDGE) is NoSuchIncident


@dataclass
class _Arrival:
    """Comes to what it is told; None: escalation cannot be asked."""

    outcome: Seen | None
    work: Any

    async def of(self, missing: Any, upstream: str) -> Seen:
        assert upstream == "escalation"
        if not missing(self.work):
            return Seen.THERE
        if self.outcome is None:
            raise Unreachable
        return self.outcome


@pytest.mark.parametrize("outcome", [Seen.READ, Seen.STILL, Seen.LATE, Seen.UNREAD, None])
async def test_whoever_may_have_been_paged_is_told_to_come_again(outcome: Seen | None) -> None:
    phone = replace(MEMBER, scopes=frozenset({Action.INCIDENTS_ACKNOWLEDGE}))
    for who, there in (
        *((one, work(TEAM)) for one in (MEMBER, phone, KEY, caller(Role.ADMIN))),
        *((OUTSIDER, one) for one in (work(None), work(TEAM, ANA))),
    ):
        await Sights(cast("Any", _Arrival(outcome, there))).arrives(ById(id=INCIDENT), who)
    for nothing in (work(TEAM), work(TEAM, exists=False)):
        # Where all is read the handler says what it is to them.
        with nullcontext() if outcome is Seen.READ else pytest.raises(Unreachable):
            await Sights(cast("Any", _Arrival(outcome, nothing))).arrives(ById(id=INCIDENT), OUTSIDER)


def _refused(work: Any, who: Caller, operation: str, action: Action) -> type[Rejected] | None:
    try:
        sights.check(work, INCIDENT, who, operation, action)
    except Rejected as error:
        return type(error)
    return None
