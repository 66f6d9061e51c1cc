"""Teams: what they are called, and that they go. Who is in them is decided of each person (`users.py`).

| state | command | events out |
|---|---|---|
| none | CreateTeam | TeamCreated |
| team, deleted | CreateTeam again | nothing |
| none, deleted | anything else | refused: there is no such team |
| team | ChangeTeam | TeamChanged, where something becomes another |
| team, something needs it | DeleteTeam | refused |
| team | DeleteTeam | TeamDeleted |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from unicodedata import normalize
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.requests import NotFound
from libs.contracts.teams import TeamChanged, TeamCreated, TeamDeleted
from libs.contracts.uses import InUse, UsesView
from services.auth.domain.text import check_text
from services.auth.domain.users import Keep


class TeamIsUnknown(NotFound):
    """There is no such team."""


@dataclass(frozen=True, slots=True)
class NoTeam:
    pass


@dataclass(frozen=True, slots=True)
class Team:
    """`version` counts what views of a team show; who is in it is none of that."""

    id: UUID
    name: str
    description: str | None
    version: int = 1
    deleted: bool = False


State = NoTeam | Team


@dataclass(frozen=True, slots=True)
class CreateTeam:
    """That no other team has this name, the caller knows."""

    id: UUID
    name: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeTeam:
    """What is None (or `KEEP`) stays as it is."""

    name: str | None = None
    description: str | Keep | None = Keep.KEEP


@dataclass(frozen=True, slots=True)
class DeleteTeam:
    uses: UsesView


Command = CreateTeam | ChangeTeam | DeleteTeam


def one_name(name: str) -> str:
    """A team's name is stored in one form, however it is spaced, and however a keyboard composes its letters."""
    return normalize("NFC", " ".join(name.split()))


def initial() -> State:
    return NoTeam()


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case _, TeamCreated():
            return Team(fact.team_id, fact.name, fact.description)
        case Team(), TeamChanged():
            return replace(state, name=fact.name, description=fact.description, version=state.version + 1)
        case Team(), TeamDeleted():
            return replace(state, deleted=True)
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """The table at the top.

    Raises:
        Invalid: with the field at fault.
        TeamIsUnknown: there is none of this id.
        InUse: something needs it.
    """
    match command, state:
        case CreateTeam(team_id, name, description), NoTeam():
            check_text(name, "name")
            return [TeamCreated(team_id=team_id, name=one_name(name), description=description)]
        case CreateTeam(), Team():
            return []
        case _, NoTeam() | Team(deleted=True):
            raise TeamIsUnknown(field="id")
        case ChangeTeam(), Team():
            return _change(command, state)
        case DeleteTeam(uses), Team() if uses.total:
            raise InUse(uses.uses, uses.total)
        case DeleteTeam(), Team():
            return [TeamDeleted(team_id=state.id)]
    return []


def _change(command: ChangeTeam, state: Team) -> Sequence[Fact]:
    name = state.name if command.name is None else one_name(command.name)
    description = state.description if isinstance(command.description, Keep) else command.description
    check_text(name, "name")
    if (name, description) == (state.name, state.description):
        return []
    return [TeamChanged(team_id=state.id, name=name, description=description)]
