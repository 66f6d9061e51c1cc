"""What is said of the people, policies and teams that a request names, by what waiting for them has come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from libs.chassis.consume.arrival import Arrival, Seen, Unreachable
from libs.chassis.requests.callers import Caller
from libs.contracts.incidents import CreateIncident
from libs.contracts.integrations import ChangeIntegration
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import Action
from services.incidents.references import References

SOMEBODY, SOMETHING, TEAM = uuid4(), uuid4(), uuid4()
ANYBODY = Caller(uuid4(), frozenset({Role.USER}), uuid4(), "phone", datetime(2030, 1, 1, tzinfo=UTC))
INCIDENT = CreateIncident(title="it burns", assigned_to=SOMEBODY, policy_id=SOMETHING)
TEAMS = CreateIncident(title="it burns", team_id=SOMETHING)


@dataclass
class _Waiting:
    """Comes to what it is told, by upstream; None: the upstream cannot be asked."""

    outcomes: dict[str, Seen | None]
    asked: list[str] = field(default_factory=list)
    filled: bool = True
    """Whether our replicas know what every installation has."""
    team: UUID | None = None
    """Of the policy."""

    @property
    def store(self) -> _Waiting:
        return self

    async def read(self, handler: Callable[[Any], bool]) -> bool:
        return handler(SimpleNamespace(fetch=lambda *_, **__: [{"team_id": self.team}] if self.filled else []))

    async def of(self, _missing: Any, upstream: str) -> Seen:
        self.asked.append(upstream)
        outcome = self.outcomes[upstream]
        if outcome is None:
            raise Unreachable
        return outcome


def references(auth: Seen | None = Seen.THERE, escalation: Seen | None = Seen.THERE) -> tuple[References, _Waiting]:
    waiting = _Waiting({"auth": auth, "escalation": escalation})
    return References(cast("Arrival", waiting)), waiting


async def test_whoever_and_whatever_is_there_is_named() -> None:
    known, waiting = references()
    assert await known.unknown(INCIDENT, ANYBODY) is None
    assert waiting.asked == ["auth", "escalation"]


async def test_nobody_is_asked_about_what_is_not_named() -> None:
    known, waiting = references(None, None)
    assert await known.unknown(CreateIncident(title="it burns"), ANYBODY) is None
    assert await known.surely_unknown(ChangeIntegration(id=uuid4(), policy_id=None), ANYBODY) is None
    assert waiting.asked == []


@pytest.mark.parametrize("known", [{"auth": Seen.STILL}, {"escalation": Seen.READ}])
async def test_a_replica_that_was_made_beside_older_events_proves_nothing(known: dict[str, Seen]) -> None:
    """Until it is rebuilt it knows not even what every installation has."""
    replicas, waiting = references(**known)
    waiting.filled = False
    assert await replicas.unknown(INCIDENT, ANYBODY) is None
    with pytest.raises(Unreachable):
        await replicas.surely_unknown(INCIDENT, ANYBODY)


async def test_a_policy_of_another_team_is_nothing_to_whoever_does_not_see_it() -> None:
    known, waiting = references()
    waiting.team = TEAM
    found = await known.unknown(INCIDENT, ANYBODY)
    assert found is not None
    assert found.refused().field == "policyId"
    member = replace(ANYBODY, teams={TEAM: TeamRole.MEMBER})
    machine = replace(ANYBODY, bound=TEAM, roles=frozenset({Role.ADMIN}), scopes=frozenset({Action.INCIDENTS_CREATE}))
    for who in (member, machine, replace(ANYBODY, roles=frozenset({Role.ADMIN}))):
        assert await known.unknown(INCIDENT, who) is None
    waiting.team = None
    assert await known.unknown(INCIDENT, machine) is None, "the organisation's policies are everybody's to page by"


async def test_what_is_not_there_is_said_by_its_field() -> None:
    for seen in (Seen.READ, Seen.STILL):
        found = await references(auth=seen)[0].unknown(INCIDENT, ANYBODY)
        assert found is not None
        assert found.refused().field == "assignedTo"
    found = await references(escalation=Seen.READ)[0].unknown(INCIDENT, ANYBODY)
    assert found is not None
    assert found.refused().field == "policyId"
    found = await references(auth=Seen.READ)[0].unknown(TEAMS, ANYBODY)
    assert found is not None
    assert found.refused().field == "teamId"


@pytest.mark.parametrize("auth", [Seen.LATE, Seen.UNREAD, None], ids=["behind", "just started", "its owner is away"])
async def test_a_person_or_team_that_may_be_there_is_no_reason_to_refuse_an_incident(auth: Seen | None) -> None:
    known, _ = references(auth=auth)
    for body in (INCIDENT, TEAMS):
        assert await known.unknown(body, ANYBODY) is None
        with pytest.raises(Unreachable):
            await known.surely_unknown(body, ANYBODY)


@pytest.mark.parametrize("escalation", [Seen.STILL, Seen.LATE, Seen.UNREAD, None])
async def test_a_policy_that_may_be_there_is_no_reason_to_refuse_an_incident(escalation: Seen | None) -> None:
    known, _ = references(escalation=escalation)
    assert await known.unknown(INCIDENT, ANYBODY) is None
    with pytest.raises(Unreachable):
        await known.surely_unknown(INCIDENT, ANYBODY)
