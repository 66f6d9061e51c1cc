"""Whose things somebody's numbers are of: as wide as what they see, and of other people only what managers do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.contracts.analytics import AnalyticsQuery
from libs.contracts.permissions import Action, Sight
from libs.contracts.requests import NoTeamToListBy
from services.incidents.projections import ORGANISATION


@dataclass(frozen=True, slots=True)
class Scope:
    """All there is, or what is of `teams` and, of pages, `person`'s own; of that what is of the team `only`."""

    everything: bool = False
    teams: tuple[UUID, ...] = ()
    person: UUID | None = None
    only: UUID | None = None

    @classmethod
    def of(cls, sight: Sight, person: UUID | None, only: UUID | None) -> Self:
        teams = (*((ORGANISATION,) if sight.organisation else ()), *sorted(sight.teams))
        return cls(sight.everything, () if sight.everything else teams, person, only)

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the statements in `queries.py`."""
        return {
            "everything": int(self.everything),
            "teams": list(self.teams),
            "person": self.person,
            "only": self.only,
        }

    @property
    def alone(self) -> Scope:
        """Nobody's but the person's own."""
        return replace(self, everything=False, teams=())

    def holds(self, team: UUID) -> bool:
        return self.everything or team in self.teams


@dataclass(frozen=True, slots=True)
class Scopes:
    """`incidents`: whose incidents are counted. `people`: in whose incidents what others did is told by person."""

    incidents: Scope
    people: Scope

    @classmethod
    def everything(cls, query: AnalyticsQuery) -> Self:
        """Of operators."""
        all_ = Scope(everything=True, only=query.team_id)
        return cls(all_, all_)

    @classmethod
    def seen_by(cls, caller: Caller, query: AnalyticsQuery) -> Self:
        """Raises NoTeamToListBy: nothing of this team is theirs to see."""
        incidents = Scope.of(caller.sight(Action.ANALYTICS_READ), caller.person, query.team_id)
        people = Scope.of(caller.sight(Action.ANALYTICS_PEOPLE), caller.person, query.team_id)
        if query.team_id is not None and not incidents.holds(query.team_id):
            raise NoTeamToListBy
        # Of others only while it is sure that they still may.
        return cls(incidents, people if caller.certain else people.alone)
