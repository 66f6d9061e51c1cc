"""What people do to incidents: who may, what may be done in its state, and what they are told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Protocol, TypeVar, cast
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Before, Requests
from libs.chassis.store.work import Work
from libs.contracts.incidents import (
    ActionBody,
    AddNote,
    AddResponders,
    ChangeStatus,
    EscalateIncident,
    IncidentView,
    NoteView,
    Reassign,
    SnoozeIncident,
    SuppressIncident,
    Suppression,
)
from libs.contracts.leniency import storable
from libs.contracts.permissions import Action
from services.incidents import application, sights
from services.incidents.application import INCIDENT
from services.incidents.domain import commands
from services.incidents.inputs import StoredInputs
from services.incidents.references import References
from services.incidents.timing import NO_TIME
from services.incidents.views import decided_view


class _Body(Protocol):
    id: UUID


B = TypeVar("B", bound=ActionBody)
Wanted = Callable[[Work, B, Caller], commands.Act]
"""The command that a request stands for."""


def decided(work: Work, incident_id: UUID) -> IncidentView:
    """The incident as this transaction leaves it."""
    return decided_view(work, work.state(INCIDENT, incident_id), work.version(incident_id))


def add_acts(
    requests: Requests,
    references: References,
    pages_arrive: Before,
    reopen_within: timedelta | None,
    quiet_for: timedelta,
) -> None:
    """One operation for each line of `transitions.TRANSITIONS` but `edit`."""

    def act(operation: str, body: type[B], action: Action, wanted: Wanted[B], before: Before | None = None) -> None:
        @requests.handle(operation, body, action=action, before=before, arrives=pages_arrive, versioned=INCIDENT)
        def handle(work: Work, body: B, caller: Caller) -> IncidentView:
            incident_id = cast("_Body", body).id
            sights.check(work, incident_id, caller, operation, action)
            asked, said_at = wanted(work, body, caller), body.said_at(work.now)
            command = asked if said_at is None else commands.Late(asked, said_at)
            application.change(work, incident_id, command, caller.cause(work), StoredInputs(work))
            return decided(work, incident_id)

    async def people_exist(body: Any, caller: Caller) -> None:
        await pages_arrive(body, caller)
        asked = {"assignedTo": body.assigned_to} if isinstance(body, Reassign) else _numbered(body.user_ids)
        if (unknown := await references.nobody(asked)) is not None:
            raise unknown.refused()

    def acknowledge(work: Work, body: ChangeStatus, caller: Caller) -> commands.Acknowledge:
        resolves_at = work.now + quiet_for if quiet_for > NO_TIME else None
        return commands.Acknowledge(caller.actor, work.now, _clean(body.notes), resolves_at)

    def resolve(work: Work, body: ChangeStatus, caller: Caller) -> commands.Resolve:
        return commands.Resolve(caller.actor, work.now, _clean(body.notes))

    def close(work: Work, body: ChangeStatus, caller: Caller) -> commands.Close:
        return commands.Close(caller.actor, work.now, _clean(body.notes))

    def reopen(work: Work, body: ChangeStatus, caller: Caller) -> commands.Reopen:
        return commands.Reopen(caller.actor, work.now, _clean(body.notes), reopen_within)

    def snooze(work: Work, body: SnoozeIncident, caller: Caller) -> commands.Snooze:
        # From when it was asked for: an hour's quiet that was asked for an hour ago is over.
        until = (body.said_at(work.now) or work.now) + timedelta(minutes=body.minutes)
        return commands.Snooze(caller.actor, work.now, until)

    def suppress(work: Work, body: SuppressIncident, caller: Caller) -> commands.Suppress:
        until = (body.said_at(work.now) or work.now) + timedelta(minutes=body.minutes)
        suppression = Suppression(by=caller.actor.id, until=until)
        return commands.Suppress(suppression, caller.actor, work.now, _clean(body.reason))

    def reassign(work: Work, body: Reassign, caller: Caller) -> commands.Reassign:
        return commands.Reassign(body.assigned_to, caller.actor, work.now, _clean(body.notes))

    def escalate(work: Work, body: EscalateIncident, caller: Caller) -> commands.AskLevel:
        return commands.AskLevel(body.level, caller.actor, work.now, _clean(body.reason))

    def responders(work: Work, body: AddResponders, caller: Caller) -> commands.AddResponders:
        return commands.AddResponders(tuple(dict.fromkeys(body.user_ids)), caller.actor, work.now, _clean(body.notes))

    act("acknowledge", ChangeStatus, Action.INCIDENTS_ACKNOWLEDGE, acknowledge)
    act("resolve", ChangeStatus, Action.INCIDENTS_WRITE, resolve)
    act("close", ChangeStatus, Action.INCIDENTS_WRITE, close)
    act("reopen", ChangeStatus, Action.INCIDENTS_WRITE, reopen)
    act("snooze", SnoozeIncident, Action.INCIDENTS_WRITE, snooze)
    act("suppress", SuppressIncident, Action.INCIDENTS_WRITE, suppress)
    act("reassign", Reassign, Action.INCIDENTS_WRITE, reassign, people_exist)
    act("escalate", EscalateIncident, Action.INCIDENTS_WRITE, escalate)
    act("responders", AddResponders, Action.INCIDENTS_WRITE, responders, people_exist)

    @requests.handle("note", AddNote, action=Action.INCIDENTS_WRITE, arrives=pages_arrive, versioned=INCIDENT)
    def note(work: Work, body: AddNote, caller: Caller) -> NoteView:
        sights.check(work, body.id, caller, "note", Action.INCIDENTS_WRITE)
        made = commands.AddNote(work.new_id(), str(storable(body.text)), caller.actor, work.now)
        application.change(work, body.id, made, caller.cause(work), StoredInputs(work))
        return NoteView(id=made.note_id, text=made.text, by=caller.actor.id, at=work.now)


def _numbered(people: Sequence[UUID]) -> dict[str, UUID]:
    return {f"userIds.{i}": person for i, person in enumerate(people)}


def _clean(text: str | None) -> str | None:
    return None if text is None else str(storable(text))
