"""What still needs a thing that somebody wants to delete."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from libs.contracts.model import Contract
from libs.contracts.requests import Rejected

MOST_NAMED = 10
"""However many there are: an answer says enough to begin with."""


class UserKind(StrEnum):
    INCIDENT = "incident"
    INTEGRATION = "integration"
    POLICY = "policy"
    SCHEDULE = "schedule"
    KEY = "key"
    """An API key."""


class Use(Contract):
    """Something that uses it. `name`: of an incident `#` and its number."""

    type: UserKind
    id: UUID
    name: str


class UsesView(Contract):
    """`pager.rpc.<service>.team_uses`: what of a service's needs something, the first of `total` of them."""

    uses: tuple[Use, ...] = ()
    total: int = 0


class InUse(Rejected):
    """It is still used.

    `uses`: the first of `total`, at most `MOST_NAMED`; the message names them, the details hold them as `usedBy`.
    """

    def __init__(self, uses: Sequence[Use], total: int | None = None) -> None:
        total = len(uses) if total is None else total
        named = uses[:MOST_NAMED]
        told = [f"{one.type} {one.name if one.type is UserKind.INCIDENT else _quoted(one.name)}" for one in named]
        told += [f"{total - len(named)} more"] if total > len(named) else []
        words = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
        used_by = [one.model_dump(mode="json", by_alias=True) for one in named]
        super().__init__(f"it is still used by {words}", details={"usedBy": used_by, "total": total})


def _quoted(name: str) -> str:
    return f'"{name}"'
