"""Which teams there are, and whether there is room in them, for whoever puts people into some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from libs.chassis.store.work import Work
from libs.contracts.model import TeamRole
from libs.contracts.requests import NoSuchTeam, Rejected
from libs.contracts.teams import MOST_MEMBERS
from services.auth.queries import TEAMS_KNOWN


class TeamIsFull(Rejected):
    """Nobody else has room in this team: it has 200 people."""


@dataclass(frozen=True, slots=True)
class TeamRoom:
    name: str
    members: int

    @property
    def is_full(self) -> bool:
        return self.members >= MOST_MEMBERS


def seen(work: Work, team_ids: Iterable[UUID]) -> dict[UUID, TeamRoom]:
    """Those of these teams that there are."""
    rows = work.fetch(TEAMS_KNOWN, ids=list(set(team_ids)))
    return {row["id"]: TeamRoom(row["name"], row["members"]) for row in rows}


def held(work: Work, team_ids: Iterable[UUID]) -> dict[UUID, TeamRoom]:
    """The same; they stay, and nobody else comes into them, until this transaction ends.

    Teams are locked in the order of their ids, and before any person's row: none waits for another in a circle.
    """
    wanted = sorted(set(team_ids))
    for team_id in wanted:
        work.lock(f"pager/auth/team/{team_id}")
    return seen(work, wanted)


def check_known(teams: Mapping[UUID, TeamRoom], team_ids: Sequence[UUID]) -> None:
    """Raises NoSuchTeam with the field of the first that there is not."""
    for number, team_id in enumerate(team_ids):
        if team_id not in teams:
            raise NoSuchTeam(field=f"teamIds.{number}")


def check_room(teams: Mapping[UUID, TeamRoom], team_ids: Sequence[UUID], before: Collection[UUID] = ()) -> None:
    """Raises TeamIsFull with the field of the first of them that is full; who was in it `before` stays."""
    for number, team_id in enumerate(team_ids):
        if team_id not in before and teams[team_id].is_full:
            raise TeamIsFull(field=f"teamIds.{number}")


def shown(teams: Mapping[UUID, TeamRole], names: Mapping[UUID, str]) -> list[dict[str, Any]]:
    """What somebody is in, as the query of people has it: by name."""
    ordered = sorted((names[team_id], team_id, role) for team_id, role in teams.items())
    return [{"id": team_id, "name": name, "role": role} for name, team_id, role in ordered]
