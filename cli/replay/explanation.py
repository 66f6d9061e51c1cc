"""Explains pages from the logs: the service's own logic on the rows that their events write."""

import json
import sys
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from cli.replay.incident import belonging, earliest, find_incident
from cli.replay.logs import open_logs
from libs.chassis.rebuild.history import History, ends, pages
from libs.contracts.codec import CODEC, UnknownEvent
from libs.contracts.erasure import PersonErased
from libs.contracts.events import declare_events
from libs.contracts.incidents import IncidentExplained
from services.incidents.erased import told
from services.incidents.explain import explain as reason_out
from services.incidents.projections import timeline, timeline_row
from services.incidents.replicas import replicate
from services.incidents.views import causal_order

_TELLING: Final = ("incidents", "escalation", "notifier")
_LOGS: Final = (*_TELLING, "auth")


def from_logs(url: str, incident: str, person: UUID | None) -> IncidentExplained:
    """The service's own logic on the rows that the events of the logs write. Raises `Failure`."""
    *histories, people = open_logs(url, _LOGS)
    try:
        incident_id = find_incident(histories[0], incident)
        story = told(causal_order(_rows(histories, incident_id)), lambda ids: {i for i in ids if _is_erased(people, i)})
        created = json.loads(histories[0].entity(UUID(incident_id))[0].raw)["data"]
    finally:
        for history in (*histories, people):
            history.connection.close()
    explained = reason_out(story.rows, person, story.erased).people
    return IncidentExplained(
        incident_id=UUID(incident_id), number=created["number"], title=created["title"], people=explained
    )


def _is_erased(people: History, person: UUID) -> bool:
    return any(row.type == PersonErased.type for row in people.entity(person))


def _rows(histories: Sequence[History], incident: str) -> list[dict[str, Any]]:
    """The timeline of an incident, made from the logs as the service makes it."""
    declare_events()
    belongs, first = belonging(histories[0], incident)
    end = ends(histories[0].connection, _TELLING)
    rows: list[dict[str, Any]] = []
    for history in histories:
        after = history.position_before(earliest(first))
        for page in pages(history, after, end[history.service], belongs.condition):
            for stored in page:
                if not belongs.holds(stored.raw):
                    continue
                try:
                    event = CODEC.decode(stored.type, stored.raw)
                except UnknownEvent:
                    sys.stderr.write(f"pager: unknown event type {stored.type} at {history.service}"
                                     f" {stored.position}: left out\n")  # fmt: skip
                    continue
                own = history.service == "incidents"
                changes = [timeline_row(event, event.entity, ())] if own else replicate(event)
                rows += [dict(change.values) for change in changes if change.table is timeline]
    return rows
