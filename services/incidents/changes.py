"""Every change of an incident, from the log itself: as long as that is kept, whatever becomes of the read models.

How often its alert came again is no change: that is counted elsewhere, and may have come a million times.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import BigInteger, column, text

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Before, Requests
from libs.chassis.store.audit import ERASED, HIDDEN
from libs.chassis.store.listing import Keyset, fitting
from libs.chassis.store.work import Work
from libs.contracts.audit import ActedFrom
from libs.contracts.envelope import Envelope
from libs.contracts.incident_audit import IncidentAudit, IncidentAuditQuery, IncidentChange
from libs.contracts.incidents import AlertsGrouped
from libs.contracts.model import StillSealed
from libs.contracts.permissions import Action
from services.incidents.application import INCIDENT
from services.incidents.domain.decisions import NoSuchIncident
from services.incidents.domain.incident import Incident
from services.incidents.projections import SCHEMA, view_of
from services.incidents.sights import sees

_ORDER = Keyset("incident/audit", (column("version", BigInteger),))
_MOST: Final = 10_000
"""Events of one incident: levels that fire every half hour for half a year."""
_EVENTS = text(
    f"SELECT originator_version AS version, topic, state FROM {SCHEMA}.stored_events"  # noqa: S608 - our own schema
    " WHERE originator_id = :id AND topic <> :passed_over ORDER BY originator_version LIMIT :most"
)
_ORIGINS = text(
    f"SELECT originator_id AS chain, topic, state FROM {SCHEMA}.stored_events"  # noqa: S608 - our own schema
    " WHERE originator_id = ANY (CAST(:chains AS uuid[])) AND originator_version = 1"
)
_NO_CHANGE: Final = {"version", "updatedAt", "alertCount", "acknowledgements", "lane"}
"""Of a view: what follows from every event, or says the same once more."""


def add_incident_audit(requests: Requests, pages_arrive: Before) -> None:
    @requests.query("incident_audit", IncidentAuditQuery, action=Action.INCIDENTS_READ, arrives=pages_arrive)
    def incident_audit(work: Work, body: IncidentAuditQuery, caller: Caller) -> IncidentAudit:
        return changes_of(work, body, caller)


def changes_of(work: Work, query: IncidentAuditQuery, caller: Caller) -> IncidentAudit:
    """A page, oldest first; a page ends early where it would not fit into an answer.

    Raises:
        NoSuchIncident: there is none, for them.
        Invalid: the cursor is none of ours.
    """
    after = 0 if query.cursor is None else _ORDER.place(query.cursor)["place_0"]
    told = list(_told(work, query.id))
    created = told[0][2].created if told else None
    if created is None:
        raise NoSuchIncident
    if not sees(work, query.id, created.team_id, caller):
        raise NoSuchIncident().hides()
    behind = [one for one in told if one[0].version > after]
    page = behind[: query.limit]
    origins = _origins(work, [event.correlation_id for event, _, _ in page])
    open_ = caller.may(Action.AUDIT_READ)
    entries = [_change(event, before, state, origins.get(event.correlation_id), open_) for event, before, state in page]
    shown = fitting(entries, lambda entry: len(entry.to_json()))
    following = _ORDER.cursor({"version": shown[-1].version}) if len(shown) < len(behind) else None
    return IncidentAudit(entries=tuple(shown), next_cursor=following)


def _told(work: Work, incident_id: UUID) -> Iterator[tuple[Envelope[Any], Incident, Incident]]:
    """Each event, with the incident before it and after it."""
    state = INCIDENT.initial()
    for row in work.fetch(_EVENTS, id=incident_id, passed_over=AlertsGrouped.type, most=_MOST):
        event = work.codec.decode(row["topic"], bytes(row["state"]))
        before, state = state, INCIDENT.evolve(state, event.data)
        yield event, before, state


def _origins(work: Work, chains: list[UUID]) -> Mapping[UUID, ActedFrom]:
    """From where somebody acted, by the chain of events that this began."""
    found = {}
    for row in work.fetch(_ORIGINS, chains=chains) if chains else ():
        fact = work.codec.decode(row["topic"], bytes(row["state"])).data
        if isinstance(fact, ActedFrom):
            found[row["chain"]] = fact
    return found


def _change(
    event: Envelope[Any],
    before: Incident,
    state: Incident,
    origin: ActedFrom | None,
    open_: bool,
) -> IncidentChange:
    old = {} if before.created is None else _values(before, event.version - 1)
    new = _values(state, event.version)
    changed = {name for name in new if new[name] != old.get(name)}
    return IncidentChange(
        at=event.time,
        version=event.version,
        action=event.name,
        actor=event.actor,
        ip_address=_shown(origin and origin.ip_address, open_=open_),
        user_agent=_shown(origin and origin.user_agent, open_=open_),
        old={name: old[name] for name in changed if name in old} or None,
        new={name: new[name] for name in changed} or None,
        event_id=event.id,
        causation_id=event.causation_id,
        correlation_id=event.correlation_id,
    )


def _values(state: Incident, version: int) -> dict[str, Any]:
    """What the API shows of it, by the names of the API."""
    view = view_of(state, version).model_dump(mode="json", by_alias=True)
    return {name: value for name, value in view.items() if name not in _NO_CHANGE}


def _shown(value: Any, *, open_: bool) -> str | None:
    if value is None:
        return None
    if not open_:
        return HIDDEN
    return ERASED if isinstance(value, StillSealed) else str(value)
