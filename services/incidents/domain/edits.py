"""What people say that an incident is about, and how bad it is."""

from __future__ import annotations

from libs.contracts.envelope import Fact
from libs.contracts.incidents import IncidentCreated, IncidentEdited, PriorityLowered
from services.incidents.domain.commands import Edit
from services.incidents.domain.incident import Incident, evolve
from services.incidents.domain.paging import raised
from services.incidents.domain.transitions import AlreadyOver


def edited(command: Edit, state: Incident, created: IncidentCreated) -> list[Fact]:
    """Its words first, so that whoever is paged for a higher priority reads them.

    Raises:
        AlreadyOver: nobody pages for the priority of what is over.
    """
    facts: list[Fact] = []
    words, by, at = (command.title, command.description, command.metadata), command.by, command.at
    incident_id = created.incident_id
    if words != (created.title, created.description, created.metadata):
        title, description, metadata = words
        fact = IncidentEdited(
            incident_id=incident_id, title=title, description=description, metadata=metadata, by=by, at=at
        )
        facts, state = [fact], evolve(state, fact)
    if command.priority == state.priority:
        return facts
    if not state.is_open or state.created is None:
        raise AlreadyOver(state, field="priority")
    if command.priority.is_worse_than(state.priority):
        return [*facts, *raised(command.priority, by, at, state, state.created)]
    lowered = PriorityLowered(incident_id=incident_id, previous=state.priority, priority=command.priority, by=by, at=at)
    return [*facts, lowered]
