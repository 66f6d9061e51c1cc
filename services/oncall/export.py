"""What oncall holds on a person, for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.export import Part, part_of
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from services.oncall.projections import SCHEDULES_NAMING, SCHEMA, SHIFTS_OF


def exported(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
    """Raises Invalid."""
    return part_of(SCHEMA, _PARTS, work, query, caller)


def _schedules(work: Work, person: UUID, cursor: str | None) -> ExportPage:
    return SCHEDULES_NAMING.page(work, cursor, _schedule, person=person)


def _shifts(work: Work, person: UUID, cursor: str | None) -> ExportPage:
    return SHIFTS_OF.page(work, cursor, _shift, person=person)


def _schedule(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": row["id"], "name": row["name"], "timezone": row["timezone"], "isActive": row["is_active"]}


def _shift(row: Mapping[str, Any]) -> Mapping[str, Any]:
    when = {"startTime": row["start_time"], "endTime": row["end_time"]}
    return {"scheduleId": row["schedule_id"], "isOverride": row["is_override"], **when}


_PARTS: Final[Mapping[str, Part]] = {"schedules": _schedules, "shifts": _shifts}
