"""What escalation holds on a person, for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.export import Part, part_of
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from services.escalation.projections import POLICIES_NAMING, SCHEMA


def exported(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
    """Raises Invalid."""
    return part_of(SCHEMA, _PARTS, work, query, caller)


def _policies(work: Work, person: UUID, cursor: str | None) -> ExportPage:
    return POLICIES_NAMING.page(work, cursor, _policy, person=person)


def _policy(row: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"id": row["id"], "name": row["name"]}


_PARTS: Final[Mapping[str, Part]] = {"policies": _policies}
