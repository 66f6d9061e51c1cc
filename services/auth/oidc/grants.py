"""What the provider's groups give: roles, and a place in teams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import from_json

from libs.contracts.model import Role, TeamRole
from services.auth.domain.teams import one_name

MOST_GROUPS: Final = 1000
"""That are configured, and that a provider may tell of one person."""
LONGEST_GROUP: Final = 256
_LONGEST_NAME: Final = 255
_EXPECTED: Final = (
    f'expected {", ".join(Role)}, {{"team": "<name>", "role": "member" or "manager"}}, or a list of these'
)


@dataclass(frozen=True, slots=True)
class Grants:
    """`teams` are named as people name them, in small letters."""

    roles: frozenset[Role] = frozenset()
    teams: Mapping[str, TeamRole] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        return not (self.roles or self.teams)


def together(grants: Iterable[Grants]) -> Grants:
    """All of it: whoever is made manager of a team by one group is no mere member by another."""
    roles: set[Role] = set()
    teams: dict[str, TeamRole] = {}
    for one in grants:
        roles |= one.roles
        teams |= {name: role for name, role in one.teams.items() if teams.get(name) is not TeamRole.MANAGER}
    return Grants(frozenset(roles), teams)


def group_roles(text: str) -> dict[str, Grants]:
    """`{"<group>": <grant>, "<group>": [<grant>, …]}`. Raises ValueError."""
    try:
        read = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise ValueError('is no JSON such as {"pager-admins": "admin", "everybody": "user"}') from None
    if not isinstance(read, dict) or len(read) > MOST_GROUPS:
        raise ValueError(f"must be an object of at most {MOST_GROUPS} groups")
    return {_group(name): _grants(name, given) for name, given in read.items()}


def _group(name: str) -> str:
    if not 0 < len(name) <= LONGEST_GROUP:
        raise ValueError(f"a group's name has 1 to {LONGEST_GROUP} characters")
    return name


def _grants(group: str, given: Any) -> Grants:
    several = given if isinstance(given, list) else [given]
    read = [_grant(one) for one in several]
    found = [one for one in read if one is not None]
    if not found or len(found) < len(read):
        raise ValueError(f"{group[:100]!r}: {_EXPECTED}")
    return together(found)


def _grant(given: Any) -> Grants | None:
    if isinstance(given, str):
        return Grants(frozenset({Role(given)})) if given in set(Role) else None
    if not isinstance(given, dict) or not given.keys() <= {"team", "role"}:
        return None
    name, role = given.get("team"), given.get("role", TeamRole.MEMBER)
    if not isinstance(name, str) or not isinstance(role, str) or role not in set(TeamRole):
        return None
    if not 0 < len(one_name(name)) <= _LONGEST_NAME:
        return None
    return Grants(teams={one_name(name).lower(): TeamRole(role)})
