"""A person whom a level wanted and nothing could reach: said once for each place of an incident's paging."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.incidents import IncidentBrief
from libs.contracts.notifier import PersonUnreachable
from services.notifier.domain.place import Place


@dataclass(frozen=True, slots=True)
class ReportUnreachable:
    incident_id: UUID
    user_id: UUID
    place: Place
    reason: str
    now: datetime
    brief: IncidentBrief | None = None


State = bool
"""Whether it has been said."""


def initial() -> State:
    return False


def evolve(_state: State, fact: Fact) -> State:
    return isinstance(fact, PersonUnreachable)


def decide(command: ReportUnreachable, reported: State) -> Sequence[Fact]:
    if reported:
        return []
    return [
        PersonUnreachable(
            incident_id=command.incident_id,
            user_id=command.user_id,
            run=command.place.run,
            round=command.place.round,
            level=command.place.level,
            reason=command.reason,
            at=command.now,
            brief=command.brief,
        )
    ]
