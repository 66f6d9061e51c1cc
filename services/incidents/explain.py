"""Why was this person paged, or not: a walk over the causes of what happened to them (design, rule 14)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from libs.contracts.incidents import ChainLink, Explanation, Outcome, PersonExplained, TimelineEntry

_SHARED = frozenset({"IncidentCreated", "EscalationStarted", "EscalationCancelled", "IncidentAcknowledged"})
"""Events of the incident that belong into everybody's chain."""


def explain(rows: Sequence[dict[str, Any]], user_id: UUID | None = None) -> Explanation:
    """One outcome for each person that a level named or a notification went to; `rows` is the ordered timeline."""
    people = dict.fromkeys(u for row in rows for u in row["user_ids"])
    chosen: Iterable[UUID] = people if user_id is None else [user_id]
    return Explanation(people=tuple(_person(rows, person) for person in chosen))


def _person(rows: Sequence[dict[str, Any]], person: UUID) -> PersonExplained:
    theirs = [row for row in rows if person in row["user_ids"]]
    outcome, reason = _outcome(theirs, person)
    chain = [row for row in rows if person in row["user_ids"] or row["type"] in _SHARED]
    return PersonExplained(user_id=person, outcome=outcome, reason=reason, chain=tuple(map(_link, chain)))


def _outcome(theirs: Sequence[dict[str, Any]], person: UUID) -> tuple[Outcome, str]:
    accepted = [row for row in theirs if row["type"] == "NotificationAccepted"]
    if accepted:
        via = next((row["detail"]["via"].get(str(person)) for row in theirs if "via" in row["detail"]), None)
        return Outcome.PAGED, f"{accepted[0]['summary']}" + (f"; on duty through {via}" if via else "")
    for kind, outcome in (
        ("NotificationWithdrawn", Outcome.SUPPRESSED),
        ("PersonUnreachable", Outcome.UNREACHABLE),
    ):
        row = next((row for row in theirs if row["type"] == kind), None)
        if row is not None:
            return outcome, row["summary"]
    failed = [row for row in theirs if row["type"] == "AttemptFailed" and row["detail"].get("final")]
    if failed:
        return Outcome.UNREACHABLE, failed[-1]["summary"]
    if theirs:
        return Outcome.NOT_PAGED, f"so far: {theirs[-1]['summary']}"
    return Outcome.NOT_PAGED, "no level of the escalation has named this person"


def _link(row: dict[str, Any]) -> ChainLink:
    return ChainLink(event_id=row["event_id"], at=row["at"], type=row["type"], summary=row["summary"])


def entries(rows: Iterable[dict[str, Any]]) -> tuple[TimelineEntry, ...]:
    return tuple(
        TimelineEntry(
            at=row["at"],
            type=row["type"],
            actor=row["actor"],
            summary=row["summary"],
            event_id=row["event_id"],
            causation_id=row["causation_id"],
        )
        for row in rows
    )
