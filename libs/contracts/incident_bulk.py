"""One change to many incidents (`POST /incidents/bulk`)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from libs.contracts.incidents import ChangeStatus, QuietMinutes, Reassign, SnoozeIncident, StatusBody
from libs.contracts.model import Contract

MOST: Final = 100
"""Incidents that one request names."""


class BulkAction(StrEnum):
    """Each is the command of the same name on one incident."""

    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    CLOSE = "close"
    REOPEN = "reopen"
    REASSIGN = "reassign"
    SNOOZE = "snooze"


REQUESTS: Final[Mapping[BulkAction, type[Contract]]] = {
    BulkAction.ACKNOWLEDGE: ChangeStatus,
    BulkAction.RESOLVE: ChangeStatus,
    BulkAction.CLOSE: ChangeStatus,
    BulkAction.REOPEN: ChangeStatus,
    BulkAction.REASSIGN: Reassign,
    BulkAction.SNOOZE: SnoozeIncident,
}
"""What is said of each incident."""


class BulkBody(StatusBody):
    """Ids that are none fail alone, as those of incidents do that are not there. What else is said is for each:
    `assignedTo` goes with `reassign`, and `minutes` with `snooze`."""

    action: BulkAction
    ids: tuple[Annotated[str, Field(max_length=64)], ...] = Field(
        min_length=1, max_length=MOST, examples=[["7c9e6679-7425-40de-944b-e07fc1f90ae7"]]
    )

    assigned_to: UUID | None = None
    minutes: QuietMinutes | None = None

    def request(self, incident_id: UUID) -> Contract:
        """What is asked of one incident. Raises ValidationError: it does not go with the action."""
        said = self.model_dump(by_alias=True, exclude_unset=True, exclude={"action", "ids"})
        return REQUESTS[self.action].model_validate(said | {"id": incident_id})

    def distinct(self) -> Mapping[str, UUID | None]:
        """What was given, once each, in the order given; None: it is no id."""
        found: dict[str, UUID | None] = {}
        known: set[UUID] = set()
        for text in self.ids:
            try:
                one = UUID(text)
            except ValueError:
                found.setdefault(text, None)
                continue
            if one not in known:
                known.add(one)
                found[text] = one
        return found


class BulkError(Contract):
    """As the single command answers."""

    code: str
    message: str


class BulkResult(Contract):
    """Of one id, as it was given."""

    id: str
    ok: bool
    error: BulkError | None = None


class BulkResults(Contract):
    """In the order of the ids, each once."""

    results: tuple[BulkResult, ...]
