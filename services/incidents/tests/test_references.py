"""What is said of the people, policies and teams that a request names, by what waiting for them has come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest

from libs.chassis.consume.arrival import Arrival, Seen, Unreachable
from libs.contracts.incidents import CreateIncident
from libs.contracts.integrations import ChangeIntegration
from services.incidents.references import References

SOMEBODY, SOMETHING = uuid4(), uuid4()
INCIDENT = CreateIncident(title="it burns", assigned_to=SOMEBODY, policy_id=SOMETHING)
TEAMS = CreateIncident(title="it burns", team_id=SOMETHING)


@dataclass
class _Waiting:
    """Comes to what it is told, by upstream; None: the upstream cannot be asked."""

    outcomes: dict[str, Seen | None]
    asked: list[str] = field(default_factory=list)
    filled: bool = True
    """Whether our replicas know what every installation has."""

    @property
    def store(self) -> _Waiting:
        return self

    async def read(self, handler: Callable[[Any], bool]) -> bool:
        return handler(SimpleNamespace(fetch=lambda *_, **__: [{}] if self.filled else []))

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
    assert await known.unknown(INCIDENT) is None
    assert waiting.asked == ["auth", "escalation"]


async def test_nobody_is_asked_about_what_is_not_named() -> None:
    known, waiting = references(None, None)
    assert await known.unknown(CreateIncident(title="it burns")) is None
    assert await known.surely_unknown(ChangeIntegration(id=uuid4(), policy_id=None)) is None
    assert waiting.asked == []


@pytest.mark.parametrize("known", [{"auth": Seen.STILL}, {"escalation": Seen.READ}])
async def test_a_replica_that_was_made_beside_older_events_proves_nothing(known: dict[str, Seen]) -> None:
    """Until it is rebuilt it knows not even what every installation has."""
    replicas, waiting = references(**known)
    waiting.filled = False
    assert await replicas.unknown(INCIDENT) is None
    with pytest.raises(Unreachable):
        await replicas.surely_unknown(INCIDENT)


async def test_what_is_not_there_is_said_by_its_field() -> None:
    for seen in (Seen.READ, Seen.STILL):
        found = await references(auth=seen)[0].unknown(INCIDENT)
        assert found is not None
        assert found.refused().field == "assignedTo"
    found = await references(escalation=Seen.READ)[0].unknown(INCIDENT)
    assert found is not None
    assert found.refused().field == "policyId"
    found = await references(auth=Seen.READ)[0].unknown(TEAMS)
    assert found is not None
    assert found.refused().field == "teamId"


@pytest.mark.parametrize("auth", [Seen.LATE, Seen.UNREAD, None], ids=["behind", "just started", "its owner is away"])
async def test_a_person_or_team_that_may_be_there_is_no_reason_to_refuse_an_incident(auth: Seen | None) -> None:
    known, _ = references(auth=auth)
    for body in (INCIDENT, TEAMS):
        assert await known.unknown(body) is None
        with pytest.raises(Unreachable):
            await known.surely_unknown(body)


@pytest.mark.parametrize("escalation", [Seen.STILL, Seen.LATE, Seen.UNREAD, None])
async def test_a_policy_that_may_be_there_is_no_reason_to_refuse_an_incident(escalation: Seen | None) -> None:
    known, _ = references(escalation=escalation)
    assert await known.unknown(INCIDENT) is None
    with pytest.raises(Unreachable):
        await known.surely_unknown(INCIDENT)
