"""The alerts of an incident as the API shows them, and what became of what was taken, for operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Integer, Uuid, bindparam, func, select

from libs.chassis.store.listing import Keyset, Listing
from libs.chassis.store.work import Work
from libs.contracts.incident_alerts import (
    AlertList,
    AlertOutcome,
    AlertSort,
    AlertState,
    AlertView,
    Balance,
    ListAlerts,
    Outcomes,
    OutcomeView,
)
from libs.contracts.labels import brief
from services.incidents.alert_rows import first_row
from services.incidents.alerts.kept import kept_answers
from services.incidents.alerts.outcomes import Became, counted, settled, unpacked
from services.incidents.alerts.taken import places_in, taken_alerts
from services.incidents.application import INCIDENT
from services.incidents.domain.incident import Incident
from services.incidents.inputs import NOTHING_REPEATED, Repeats, StoredInputs
from services.incidents.projections import alerts

_MOST_BATCHES = 20_000
"""Read for a balance: of hours in which there were more, the last ones are told of."""
_ORDERS = {
    sort: Keyset(f"alerts {sort}", (alerts.c.number,), descending=sort is AlertSort.NEWEST) for sort in AlertSort
}
_OF_IT = select(alerts).where(alerts.c.incident_id == bindparam("incident", type_=Uuid))
_taken = select(taken_alerts)
_ONE = _taken.where(
    taken_alerts.c.first <= bindparam("sequence", type_=taken_alerts.c.first.type),
    taken_alerts.c.last >= bindparam("sequence", type_=taken_alerts.c.first.type),
)
_LATELY = (
    _taken.where(taken_alerts.c.taken_at >= bindparam("since", type_=DateTime(timezone=True)))
    .order_by(taken_alerts.c.taken_at.desc())
    .limit(bindparam("most", type_=Integer))
)
_WAITING = select(func.count().label("waiting")).select_from(kept_answers)


@cache
def _listing(sort: AlertSort, state: AlertState | None) -> Listing:
    rows = _OF_IT
    if state is not None:
        is_over = alerts.c.resolved_at.is_not(None)
        rows = rows.where(is_over if state is AlertState.RESOLVED else ~is_over)
    return Listing(_ORDERS[sort], rows)


def list_alerts(work: Work, query: ListAlerts) -> AlertList:
    """A page of the alerts of an incident, which must exist.

    Raises:
        Invalid: there is no such page.
    """
    state = work.state(INCIDENT, query.id)
    wanted = query.state
    if not state.is_open:
        # With it all are over, whatever their rows say: they burn again if it is reopened.
        if wanted is AlertState.OPEN:
            return AlertList(alerts=(), total=0)
        wanted = None
    if not state.alerts.has_rows:
        return _the_only_one(work, query, state, wanted)
    page = _listing(query.sort, wanted).page(work, query, incident=query.id)
    again = StoredInputs(work).alert_repeats([row["id"] for row in page.rows])
    views = (_view(row, again.get(row["id"], NOTHING_REPEATED), state) for row in page.rows)
    return AlertList(**page.told("alerts", views))


def _the_only_one(work: Work, query: ListAlerts, state: Incident, wanted: AlertState | None) -> AlertList:
    if query.cursor is not None:
        _ORDERS[query.sort].place(query.cursor)
    if wanted is AlertState.RESOLVED:
        return AlertList(alerts=(), total=0)
    if query.cursor is not None or query.offset() > 0:
        return AlertList(alerts=(), total=1)
    again = StoredInputs(work).repeats([query.id]).get(query.id, NOTHING_REPEATED)
    times = max(state.alert_count, 1 + again.times)
    return AlertList(alerts=(_view(first_row(state), again._replace(times=times), state),), total=1)


def _view(row: Mapping[str, Any], again: Repeats, state: Incident) -> AlertView:
    """`again`: how often it came, the first time included, and when the last time."""
    over_with = None if state.is_open or state.resolved is None else state.resolved.at
    resolved_at = row["resolved_at"] or over_with
    return AlertView(
        id=row["id"],
        incident_id=row["incident_id"],
        number=row["number"],
        fingerprint=row["fingerprint"],
        state=AlertState.OPEN if resolved_at is None else AlertState.RESOLVED,
        title=row["title"],
        description=brief(row["description"]),
        priority=row["priority"],
        source=row["source"],
        labels=row["labels"],
        links=row["links"],
        count=max(again.times, 1),
        created_at=row["created_at"],
        last_at=max(again.last_at or row["created_at"], row["created_at"]),
        resolved_at=resolved_at,
        occurred_at=row["occurred_at"],
    )


def find_outcomes(work: Work, sequence: int) -> Outcomes:
    """What became of one message of ALERTS; nothing where it was not taken, or longer ago than the stream keeps it."""
    late = settled(work, [sequence]).get(sequence)
    found: list[OutcomeView] = []
    for row in work.fetch(_ONE, sequence=sequence):
        # Nothing is told of what an older release has taken.
        for place, became in zip(places_in(row), _outcomes(row), strict=False):
            if place.sequence == sequence:
                outcome, incident_id = _final(became, late)
                found.append(
                    OutcomeView(
                        sequence=sequence,
                        stored_at=_moment(place.stored_at),
                        taken_at=row["taken_at"],
                        outcome=outcome,
                        incident_id=incident_id,
                    )
                )
    return Outcomes(outcomes=tuple(found))


def balance(work: Work, hours: float) -> Balance:
    """What became of all that was taken in these hours, as far as an outcome is told of it."""
    since = work.now - timedelta(hours=hours)
    rows = work.fetch(_LATELY, since=since, most=_MOST_BATCHES)
    numbers = [len(places_in(row)) for row in rows]
    told = [(row, n) for row, n in zip(rows, numbers, strict=True) if row["outcomes"] is not None]
    counts = counted((row["outcomes"] for row, _ in told), (n for _, n in told))
    waited = [
        place.sequence
        for row, _ in told
        for place, became in zip(places_in(row), _outcomes(row), strict=True)
        if became.outcome is AlertOutcome.WAITING
    ]
    late = Counter(AlertOutcome(row["outcome"]) for row in settled(work, waited).values())
    counts[AlertOutcome.WAITING] -= late.total()
    [row] = work.fetch(_WAITING)
    return Balance(
        since=rows[-1]["taken_at"] if len(rows) == _MOST_BATCHES else since,
        taken=sum(numbers),
        outcomes={outcome: times for outcome in AlertOutcome if (times := counts[outcome] + late[outcome])},
        untold=sum(numbers) - sum(n for _, n in told),
        waiting=row["waiting"],
    )


def _outcomes(row: Mapping[str, Any]) -> Sequence[Became]:
    number = len(places_in(row))
    return [] if row["outcomes"] is None else unpacked(bytes(row["outcomes"]), number)


def _final(became: Became, late: Mapping[str, Any] | None) -> tuple[AlertOutcome, UUID | None]:
    if became.outcome is AlertOutcome.WAITING and late is not None:
        return AlertOutcome(late["outcome"]), late["incident_id"]
    return became.outcome, became.incident_id


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 10**9, UTC)
