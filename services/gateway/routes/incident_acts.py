"""What people do to an incident. Which state allows what: docs/decision-tables.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from starlette.responses import Response

from libs.contracts.incidents import (
    AddNote,
    AddResponders,
    ChangeStatus,
    EscalateBody,
    EscalateIncident,
    NoteBody,
    NoteView,
    Reassign,
    ReassignBody,
    RespondersBody,
    SnoozeBody,
    SnoozeIncident,
    StatusBody,
    SuppressBody,
    SuppressIncident,
)
from libs.contracts.model import Contract
from libs.contracts.requests import ById
from services.gateway.device_doors import DEVICES_TOO
from services.gateway.envelope import Problem, item
from services.gateway.forwarding import complete
from services.gateway.responses import OF_A_VERSION, documented, one
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute
from services.gateway.routes.incidents import INCIDENT, IncidentId, linked

router = APIRouter(
    prefix=f"{V1}/incidents/{{id}}", tags=["incidents"], route_class=PagerRoute, dependencies=[SIGNED_IN]
)

NotesBody = Annotated[StatusBody | None, Body()]
_OVER = "it is over; `details.state` says in which state it is, `details.allowed` what can be done in it"


@router.post(
    "/acknowledge",
    operation_id="acknowledgeIncident",
    summary="Take it: stops the paging",
    responses=documented(INCIDENT, conflict=f"{_OVER}; or paging has started again since `occurredAt`"),
    dependencies=[DEVICES_TOO],
)
async def acknowledge_incident(incident_id: IncidentId, ask: Asking, body: NotesBody = None) -> Response:
    """Several people may; each is in `acknowledgements`.

    What was done without a network is sent later, with `occurredAt` and `sentAt`.
    """
    return await _act(ask, "acknowledge", complete(ChangeStatus, body or StatusBody(), id=incident_id))


@router.post(
    "/resolve",
    operation_id="resolveIncident",
    summary="Say that it is over",
    responses=documented(INCIDENT, conflict="paging has started again since `occurredAt`"),
)
async def resolve_incident(incident_id: IncidentId, ask: Asking, body: NotesBody = None) -> Response:
    """What is resolved or closed already stays as it is."""
    return await _act(ask, "resolve", complete(ChangeStatus, body or StatusBody(), id=incident_id))


@router.post(
    "/close",
    operation_id="closeIncident",
    summary="Close a resolved incident",
    responses=documented(INCIDENT, conflict="it is not resolved; `details.allowed` says what can be done"),
)
async def close_incident(incident_id: IncidentId, ask: Asking, body: NotesBody = None) -> Response:
    return await _act(ask, "close", complete(ChangeStatus, body or StatusBody(), id=incident_id))


@router.post(
    "/reopen",
    operation_id="reopenIncident",
    summary="It is not over: pages its people again",
    responses=documented(INCIDENT, conflict="it was resolved too long ago"),
)
async def reopen_incident(incident_id: IncidentId, ask: Asking, body: NotesBody = None) -> Response:
    """Within a day of its resolution, or as the installation has it (`PAGER_REOPEN_HOURS`)."""
    return await _act(ask, "reopen", complete(ChangeStatus, body or StatusBody(), id=incident_id))


@router.post(
    "/reassign",
    operation_id="reassignIncident",
    summary="Give it to somebody, who is paged",
    responses=documented(INCIDENT, conflict=_OVER),
)
async def reassign_incident(incident_id: IncidentId, body: ReassignBody, ask: Asking) -> Response:
    """Whoever takes it themselves is not paged. If the new one does not answer, the policy's levels follow."""
    return await _act(ask, "reassign", complete(Reassign, body, id=incident_id))


@router.post(
    "/snooze",
    operation_id="snoozeIncident",
    summary="Page nobody for a while, and then again",
    responses=documented(INCIDENT, conflict=_OVER),
)
async def snooze_incident(incident_id: IncidentId, body: SnoozeBody, ask: Asking) -> Response:
    """It ends early when the incident gets worse, is acknowledged, escalated or given to somebody."""
    return await _act(ask, "snooze", complete(SnoozeIncident, body, id=incident_id))


@router.post(
    "/escalate",
    operation_id="escalateIncident",
    summary="Page a level of its policy now, or the leads",
    responses=documented(INCIDENT, conflict=_OVER),
)
async def escalate_incident(
    incident_id: IncidentId, ask: Asking, body: Annotated[EscalateBody | None, Body()] = None
) -> Response:
    """Also where somebody has it, or it is to be quiet. A level that the policy does not have is its last one."""
    return await _act(ask, "escalate", complete(EscalateIncident, body or EscalateBody(), id=incident_id))


@router.post(
    "/suppress",
    operation_id="suppressIncident",
    summary="Page nobody for a while, whatever happens",
    responses=documented(INCIDENT, conflict=f"{_OVER}; or somebody has it, so that it pages nobody"),
)
async def suppress_incident(incident_id: IncidentId, body: SuppressBody, ask: Asking) -> Response:
    """Also when it gets worse. If it is still open then, and nobody has it, paging starts; to escalate it ends this."""
    return await _act(ask, "suppress", complete(SuppressIncident, body, id=incident_id))


@router.post(
    "/responders",
    operation_id="addResponders",
    summary="Ask more people for help: they are paged",
    responses=documented(INCIDENT, conflict=_OVER),
)
async def add_responders(incident_id: IncidentId, body: RespondersBody, ask: Asking) -> Response:
    """Whoever has it keeps it, and its levels go on. They see it whatever their teams."""
    return await _act(ask, "responders", complete(AddResponders, body, id=incident_id))


@router.post(
    "/notes",
    operation_id="addNote",
    summary="Write something into its timeline",
    status_code=201,
    responses=documented(one("note", NoteView, "Note"), 201) | OF_A_VERSION,
)
async def add_note(incident_id: IncidentId, body: NoteBody, ask: Asking) -> Response:
    return item("note", await ask.command("incidents", "note", complete(AddNote, body, id=incident_id)), 201)


async def _act(ask: Asking, operation: str, request: Contract) -> Response:
    """An answer is never dropped for its age; what pages people is carried out while its caller still waits."""
    answers = operation in ("acknowledge", "resolve", "close")
    try:
        view = await ask.command("incidents", operation, request, repeatable=answers, urgent=True)
    except Problem as problem:
        raise await _told(ask, problem) from None
    return item("incident", linked(ask, view))


async def _told(ask: Asking, problem: Problem) -> Problem:
    """A refusal that says who has ended the incident and when, where one who asks may know their name."""
    if problem.code != "CONFLICT" or not {"state", "at"} <= problem.more.keys():
        return problem
    by = await _name(ask, problem.more)
    at = datetime.fromisoformat(problem.more["at"])
    sentence = f"{problem.more['state']}{f' by {by}' if by else ''} at {at:%H:%M} UTC on {at:%d %B %Y}"
    return Problem("CONFLICT", f"{sentence}; {problem.message}", field=problem.field, more=problem.more)


async def _name(ask: Asking, more: Mapping[str, Any]) -> str | None:
    """Who that is, as auth tells whoever asks; in doubt nobody."""
    if (by := more.get("by")) is None:
        return None
    try:
        user = await ask.query("auth", "name", ById(id=UUID(by)))
    except (Problem, ValueError):
        return None
    return " ".join(filter(None, (user.get("firstName"), user.get("lastName")))) or None
