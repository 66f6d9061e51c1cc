"""Every change of one incident, with what was and what is (`GET /incidents/{id}/audit`)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Actor
from libs.contracts.model import Contract, Moment, StrictContract


class IncidentAuditQuery(StrictContract):
    """Oldest first."""

    id: UUID
    cursor: str | None = Field(default=None, max_length=4096)
    """`nextCursor` of the page before; None: from the beginning."""
    limit: int = Field(default=100, ge=1, le=100)


class IncidentChange(Contract):
    """`old` and `new` are those fields of the incident that the event changed.

    `causationId` is the event that it followed from; all that began with one request or alert have one `correlationId`.
    Where somebody was is `[hidden]` for who may not read the audit, and `[erased]` where the person is.
    """

    at: Moment
    version: int
    action: str = Field(examples=["IncidentAcknowledged"])
    actor: Actor
    ip_address: str | None = None
    user_agent: str | None = None
    old: dict[str, Any] | None = None
    new: dict[str, Any] | None = None
    event_id: UUID
    causation_id: UUID | None = None
    correlation_id: UUID


class IncidentAudit(Contract):
    entries: tuple[IncidentChange, ...]
    next_cursor: str | None = None
    """Where the next page begins; None: this was the last one. A page may be shorter than it was asked to be."""
