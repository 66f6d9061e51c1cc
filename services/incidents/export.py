"""What incidents holds on a person, for them: in which incidents they have acted, or were paged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Uuid, any_, bindparam, exists, or_, select

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.export import Part, part_of
from libs.chassis.store.listing import Keyset
from libs.chassis.store.scanning import Scan
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from services.incidents.projections import ASSIGNEE, SCHEMA, incidents, timeline

_PERSON = bindparam("person", type_=Uuid)
_IN_ITS_STORY = exists().where(
    timeline.c.incident_id == incidents.c.id,
    or_(
        any_(timeline.c.user_ids) == _PERSON,
        timeline.c.actor["id"].as_string() == bindparam("named"),
    ),
)
_INCIDENTS_OF = Scan(
    Keyset("incidents", (incidents.c.created_at, incidents.c.id)),
    select(incidents.c.created_at, incidents.c.id, incidents.c.number, incidents.c.status, incidents.c.view),
    or_(_PERSON == ASSIGNEE, _IN_ITS_STORY),
)


def exported(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
    """Raises Invalid."""
    return part_of(SCHEMA, _PARTS, work, query, caller)


def _incidents(work: Work, person: UUID, cursor: str | None) -> ExportPage:
    return _INCIDENTS_OF.page(work, cursor, _incident, person=person, named=str(person))


def _incident(row: Mapping[str, Any]) -> Mapping[str, Any]:
    said = {"id": row["id"], "number": row["number"], "title": row["view"]["title"], "status": row["status"]}
    return said | {"createdAt": row["created_at"]}


_PARTS: Final[Mapping[str, Part]] = {"incidents": _incidents}
