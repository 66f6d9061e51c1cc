"""Which incident is meant, and which events of all services belong to it."""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from cli.console.failure import USAGE, Failure
from libs.chassis.rebuild.history import Condition, History, LogRow, ends, microseconds, moment, pages
from libs.contracts.keys import read_key

CREATED: Final = "pager.incidents.IncidentCreated.v1"
_OF_ALERTS: Final = frozenset(
    f"pager.incidents.{name}.v1" for name in ("AlertsGrouped", "AlertAdded", "AlertResolved", "AlertsOverflowed")
)
MARGIN: Final = timedelta(minutes=1)
"""What an event may have been recorded before the one that it stands behind."""


@dataclass(frozen=True)
class Belonging:
    """The events of one incident: its own, those that name it, and those of its chains that name no other."""

    incident: str
    correlations: frozenset[str]

    @property
    def condition(self) -> Condition:
        """Lets through all of them and little else: the server looks at the bytes, `holds` at what is left."""
        return Condition(
            "(e.originator_id = %(incident)s::uuid OR position(%(named)s::bytea IN e.state) > 0 OR"
            " (position(%(key)s::bytea IN e.state) = 0 AND substring(e.state FROM"
            " position(%(chain)s::bytea IN e.state) + 17 FOR 36) = ANY(%(correlations)s::bytea[])))",
            {
                "incident": self.incident,
                "named": f'"incidentId":"{self.incident}"'.encode(),
                "key": b'"incidentId":"',
                "chain": b'"correlationId":"',
                "correlations": [c.encode() for c in sorted(self.correlations)],
            },
        )

    def holds(self, raw: bytes) -> bool:
        """Whether an event belongs to the incident."""
        event: dict[str, Any] = json.loads(raw)
        data = event.get("data")
        named = data.get("incidentId") if isinstance(data, dict) else None
        if named is not None or event.get("entity") == self.incident:
            return bool(named == self.incident or event.get("entity") == self.incident)
        return event.get("correlationId") in self.correlations


def belonging(incidents: History, incident: str) -> tuple[Belonging, LogRow]:
    """What belongs to an incident, and its first event. Raises `Failure`: there is no such incident."""
    own = incidents.entity(UUID(incident))
    if not own:
        raise Failure(f"there is no incident {incident}")
    # What is only told of alerts leads to nothing, and a noisy incident has much of it.
    leading = [row for row in own if row.type not in _OF_ALERTS]
    correlations = frozenset(str(json.loads(row.raw)["correlationId"]) for row in leading)
    return Belonging(incident, correlations), own[0]


def earliest(first: LogRow) -> Any:
    """Nothing of the incident was recorded before this moment."""
    return moment(microseconds(first.time)) - MARGIN


def find_incident(incidents: History, key: str) -> str:
    """The id of the incident that is meant: by its number (`17`, `#17`), its id, or the beginning of it.

    Raises `Failure`: none, or several.
    """
    try:
        wanted = read_key(key)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None
    numbered = _numbered(incidents, wanted.number) if wanted.number is not None else None
    if numbered is not None:
        return numbered
    found = incidents.entities_between(*wanted.ids, CREATED, 6) if wanted.ids is not None else ()
    if not found:
        raise Failure(f"there is no incident {key}")
    if len(found) > 1:
        raise Failure(f"{key} may be {', '.join(map(str, found[:5]))}{' and others' if len(found) > 5 else ''}")
    return str(found[0])


def _numbered(incidents: History, number: int) -> str | None:
    condition = Condition(
        "e.topic = %(created)s AND position(%(number)s::bytea IN e.state) > 0",
        {"created": CREATED, "number": f'"number":{number},'.encode()},
    )
    upto = ends(incidents.connection, ("incidents",))["incidents"]
    for rows in pages(incidents, 0, upto, condition):
        for row in rows:
            event = json.loads(row.raw)
            if event["data"].get("number") == number:
                return str(event["entity"])
    return None
