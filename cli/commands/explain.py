"""`pager explain INCIDENT`: why each person was paged or not, from the running service or from the logs."""

import asyncio
import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import psycopg

from cli.commands.replay import documents
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.reach import bus
from cli.reach.running import operator_url
from cli.replay.incident import belonging, earliest, find_incident
from cli.replay.logs import open_logs
from cli.settings import Settings
from libs.chassis.rebuild.history import History, ends, pages
from libs.contracts.envelope import UnknownEvent, parse_event
from libs.contracts.incidents import IncidentExplained
from libs.contracts.subjects import SERVICES

_STYLE: Final = {"paged": "green", "not_paged": "yellow", "suppressed": "cyan", "unreachable": "bold red"}
_TELLING: Final = ("incidents", "escalation", "notifier")


def explain(settings: Settings, incident: str, user: str | None, source: str, *, as_json: bool) -> None:
    """`source`: `service`, `log`, or `auto` (the service where it answers). Raises `Failure`."""
    person = _person(user)
    found = _explained(settings, incident, person, source)
    if as_json:
        print_json(found.model_dump(mode="json", by_alias=True))
    else:
        _show(found, _names(settings, [p.user_id for p in found.people]))


def _person(user: str | None) -> UUID | None:
    try:
        return UUID(user) if user is not None else None
    except ValueError:
        raise Failure(f"--user: {user!r} is no id", USAGE) from None


def _explained(settings: Settings, incident: str, person: UUID | None, source: str) -> IncidentExplained:
    if source != "log":
        try:
            url = operator_url(settings)
        except Failure:
            if source == "service":
                raise
        else:
            return asyncio.run(_ask(url, incident, person))
    made: IncidentExplained = documents(settings, lambda url: from_logs(url, incident, person))
    return made


async def _ask(url: str, incident: str, person: UUID | None) -> IncidentExplained:
    body = {"key": incident} | ({"userId": str(person)} if person is not None else {})
    async with bus.connected(url) as client:
        return IncidentExplained.model_validate(await bus.ask(client, "incidents", "explanation", body))


def from_logs(url: str, incident: str, person: UUID | None) -> IncidentExplained:
    """The service's own logic on the rows that the events of the logs write. Raises `Failure`."""
    from services.incidents.explain import explain as reason_out
    from services.incidents.projections import causal_order

    histories = open_logs(url, _TELLING)
    try:
        incident_id = find_incident(histories[0], incident)
        rows = _rows(histories, incident_id)
        created = json.loads(histories[0].entity(UUID(incident_id))[0].raw)["data"]
    finally:
        for history in histories:
            history.connection.close()
    people = reason_out(causal_order(rows), person).people
    return IncidentExplained(
        incident_id=UUID(incident_id), number=created["number"], title=created["title"], people=people
    )


def _rows(histories: Sequence[History], incident: str) -> list[dict[str, Any]]:
    """The timeline of an incident, made from the logs as the service makes it."""
    from services.incidents.projections import timeline, timeline_row
    from services.incidents.replicas import replicate

    for service in SERVICES:
        importlib.import_module(f"libs.contracts.{service}")  # declares its events
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
                    event = parse_event(stored.type, stored.raw)
                except UnknownEvent:
                    sys.stderr.write(f"pager: unknown event type {stored.type} at {history.service}"
                                     f" {stored.position}: left out\n")  # fmt: skip
                    continue
                own = history.service == "incidents"
                changes = [timeline_row(event, event.entity, ())] if own else replicate(event)
                rows += [dict(change.values) for change in changes if change.table is timeline]
    return rows


def _names(settings: Settings, people: Sequence[UUID]) -> Mapping[UUID, str]:
    """Names from auth's log, where it can be read: an operator may know them, an explanation does not need them."""

    def read(url: str) -> dict[UUID, str]:
        (auth,) = open_logs(url, ("auth",))
        found: dict[UUID, str] = {}
        with auth.connection:
            for person in people:
                for row in auth.entity(person)[:1]:
                    data = json.loads(row.raw)["data"]
                    found[person] = f"{data.get('firstName', '')} {data.get('lastName', '')}".strip()
        return found

    try:
        names: dict[UUID, str] = documents(settings, read)
    except (Failure, psycopg.Error):
        return {}
    return names


def _show(found: IncidentExplained, names: Mapping[UUID, str]) -> None:
    out = console()
    out.print(f"#{found.number} {found.title}  ({found.incident_id})", style="bold", markup=False)
    for person in found.people:
        name = names.get(person.user_id)
        who = f"{name} ({person.user_id})" if name else str(person.user_id)
        outcome = person.outcome.replace("_", " ")
        out.print()
        out.print(f"{who}: {outcome}", style=_STYLE.get(str(person.outcome), ""), markup=False)
        out.print(f"  {person.reason}", markup=False)
        rows = [(f"{link.at:%Y-%m-%d %H:%M:%S}", link.type, link.summary) for link in person.chain]
        out.print(table(None, ("UTC", "event", "what"), rows))
    if not found.people:
        out.print("no level of an escalation has named anybody yet")
