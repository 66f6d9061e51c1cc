"""What may be asked about incidents."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import to_json

from libs.contracts.incidents.incident import Status
from libs.contracts.model import Priority, SentMoment, StrictContract
from libs.contracts.requests import ListPage
from libs.contracts.texts import ONE_LINE

LONGEST_WAY = timedelta(days=7)
"""So long at most an action is under way, whatever its sender's clock says."""
QuietMinutes = Annotated[float, Field(ge=0.05, le=10_080)]
"""From three seconds to a week: nothing is quiet for ever."""
METADATA_LIMIT = 64 * 1024
"""Bytes of JSON: an event must fit into a message of 1 MiB with all the rest."""


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    json.dumps(metadata, allow_nan=False)  # 1e400 is read as infinity, and would be stored as null
    if len(to_json(metadata)) > METADATA_LIMIT:
        raise ValueError(f"must be at most {METADATA_LIMIT} bytes as JSON")
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]


class CreateIncident(StrictContract):
    """`POST /incidents`."""

    # Odd values that an alert on NATS is read without (docs/adr/0034) are refused here, and the field named.
    title: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=16_384)
    priority: Priority = Priority.MEDIUM
    assigned_to: UUID | None = None
    dedup_key: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    metadata: Metadata = {}
    escalation_timeout_minutes: float | None = Field(default=None, ge=0.05, le=10_080)
    policy_id: UUID | None = None
    team_id: UUID | None = None


Note = Annotated[str, Field(max_length=10_000, examples=["Investigating the database connection issue"])]


class ActionBody(StrictContract):
    """`occurredAt` and `sentAt`: for what was done while there was no network, by the clock of whoever did it.

    Only their difference is believed: a phone's clock may be wrong. What paging has overtaken meanwhile is refused.
    """

    occurred_at: SentMoment | None = None
    """When it was done."""
    sent_at: SentMoment | None = None
    """When it is sent; None: at this moment, and the clock is right."""

    def said_at(self, now: datetime) -> datetime | None:
        """When it was done by our clock, never in the future; None: now."""
        if self.occurred_at is None:
            return None
        return now - max(min((self.sent_at or now) - self.occurred_at, LONGEST_WAY), timedelta(0))


class StatusBody(ActionBody):
    """May be left out."""

    notes: Note | None = None


class ChangeStatus(StatusBody):
    """`POST /incidents/{id}/acknowledge`, `/resolve`, `/close`, `/reopen`."""

    id: UUID


class ReassignBody(ActionBody):
    """`POST /incidents/{id}/reassign`."""

    assigned_to: UUID
    notes: Note | None = None


class Reassign(ReassignBody):
    id: UUID


class SnoozeBody(ActionBody):
    """`POST /incidents/{id}/snooze`."""

    minutes: QuietMinutes = Field(examples=[30])


class SnoozeIncident(SnoozeBody):
    id: UUID


class SuppressBody(ActionBody):
    """`POST /incidents/{id}/suppress`."""

    minutes: QuietMinutes = Field(examples=[60])
    reason: Note | None = None


class SuppressIncident(SuppressBody):
    id: UUID


class EscalateBody(ActionBody):
    """`POST /incidents/{id}/escalate`: page from this level of the policy on; without one its leads, now."""

    level: int | None = Field(default=None, ge=1, le=20)
    reason: Note | None = None


class EscalateIncident(EscalateBody):
    id: UUID


class RespondersBody(ActionBody):
    """`POST /incidents/{id}/responders`."""

    user_ids: tuple[UUID, ...] = Field(min_length=1, max_length=20)
    notes: Note | None = None


class AddResponders(RespondersBody):
    id: UUID


class NoteBody(StrictContract):
    """`POST /incidents/{id}/notes`."""

    text: str = Field(min_length=1, max_length=10_000, examples=["The replica has caught up"])


class AddNote(NoteBody):
    id: UUID


class IncidentEdit(StrictContract):
    """Fields not given stay; `description` given as null goes, `metadata` is replaced as a whole."""

    title: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=16_384)
    priority: Priority | None = None
    metadata: Metadata | None = None


class EditIncident(IncidentEdit):
    id: UUID


def _somebody(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        raise ValueError("must be a UUID, or me") from None


Whose = Annotated[UUID | Literal["me"], WrapValidator(_somebody)]
"""`me` is whoever asks."""


class ListIncidents(ListPage):
    status: Status | None = None
    priority: Priority | None = None
    assigned_to: Whose | None = None
    team_id: UUID | None = None
