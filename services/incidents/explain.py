"""Why was this person paged, or not: a walk over the causes of what happened to them.

Everything is read from the timeline's rows, in their causal order, and no clock is asked: an explanation of the same
events is the same for ever, whoever makes it (the service from its table, `pager explain` from the logs).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from libs.contracts.clients import Client
from libs.contracts.envelope import ActorKind
from libs.contracts.incidents import ChainLink, Explanation, Outcome, PersonExplained, TimelineEntry
from libs.contracts.notifier import ReceiptState

TimelineRow = dict[str, Any]
_CHAINS_BYTES = 256 * 1024
"""Of an answer, which holds a person or two thousand."""
_TOLD_FIRST, _TOLD_LAST = 10, 40
"""Of what became of one person: an exhausted policy pages for ever."""
_FIRED = ("EscalationDue", "EscalationExhausted")
_PLANS = ("EscalationStarted", "PagingSuppressed")
"""They say whom the levels would reach; nobody is paged by that."""


def explain(rows: Sequence[TimelineRow], user_id: UUID | None = None, erased: Collection[UUID] = ()) -> Explanation:
    """One outcome for everybody on the policy that ran, and for whom else a level named; `rows` is the timeline.

    `erased`: who of them was. Of somebody whom several runs of paging concerned, the newest of these runs is explained.
    """
    people = dict.fromkeys(u for row in rows for u in row["user_ids"])
    chosen: Iterable[UUID] = people if user_id is None else [user_id]
    runs = _runs(rows)
    told = (_person(rows, runs, person) for person in chosen)
    said = (one.model_copy(update={"erased": True}) if one.user_id in erased else one for one in told)
    return Explanation(people=tuple(_fitting(said)))


def _fitting(people: Iterable[PersonExplained]) -> Iterator[PersonExplained]:
    """The chains of so many of them as fit into one answer; the others are told without."""
    size = 0
    for person in people:
        size += len(to_json(person.chain))
        yield person if size <= _CHAINS_BYTES else person.model_copy(update={"chain": ()})


def _runs(rows: Iterable[TimelineRow]) -> dict[UUID, int]:
    """The run of each event that belongs to one; what became of a page belongs to the run of its intent."""
    runs: dict[UUID, int] = {}
    pages: dict[str, int] = {}
    for row in rows:
        page = row["detail"].get("notification")
        run = row["detail"].get("run") or pages.get(page)
        if run is not None:
            runs[row["event_id"]] = run
            if page:
                pages[page] = run
    return runs


def _person(rows: Sequence[TimelineRow], runs: Mapping[UUID, int], person: UUID) -> PersonExplained:
    theirs = [row for row in rows if person in row["user_ids"] and row["type"] not in _PLANS]
    run = max((runs.get(row["event_id"], 1) for row in theirs or rows), default=1)
    if theirs:
        theirs = [row for row in theirs if runs.get(row["event_id"], 1) == run]
        outcome, reason = _outcome(theirs, person)
        telling = theirs
    else:
        known = [row for row in rows if runs.get(row["event_id"], run) == run]
        quiet = _kept_quiet(known, person)
        outcome = Outcome.NOT_PAGED if quiet is None else Outcome.SUPPRESSED
        reason, telling = quiet or _never_named(known, person)
    if len(telling) > _TOLD_FIRST + _TOLD_LAST:
        telling = [*telling[:_TOLD_FIRST], *telling[-_TOLD_LAST:]]
    return PersonExplained(user_id=person, outcome=outcome, reason=reason, run=run, chain=_chain(rows, telling))


def _outcome(theirs: Sequence[TimelineRow], person: UUID) -> tuple[Outcome, str]:
    """What became of somebody whom a level named; a page that a vendor took outweighs everything else."""
    accepted = next((row for row in theirs if row["type"] == "NotificationAccepted"), None)
    if accepted is not None:
        return Outcome.PAGED, f"{accepted['summary']}{_through(theirs, person)}{_seen(theirs)}"
    for row in reversed(theirs):
        match row["type"]:
            case "NotificationWithdrawn" if row["detail"].get("reason") == "expired":
                return Outcome.UNREACHABLE, f"{row['summary']}: no vendor took it before its time was over"
            case "NotificationWithdrawn" if row["detail"].get("reason") == "deactivated":
                return Outcome.UNREACHABLE, f"{row['summary']} before it was pushed"
            case "NotificationWithdrawn" if row["detail"].get("reason") == "bundled":
                pass  # what speaks for it says what became of both
            case "NotificationWithdrawn":
                return Outcome.SUPPRESSED, row["summary"]
            case "PersonUnreachable":
                return Outcome.UNREACHABLE, row["summary"]
            case "AttemptFailed" if row["detail"].get("final"):
                return Outcome.UNREACHABLE, row["summary"]
    return Outcome.NOT_PAGED, f"so far: {theirs[-1]['summary']}"


def _through(theirs: Sequence[TimelineRow], person: UUID) -> str:
    for row in theirs:
        if row["type"] in _FIRED and (via := row["detail"].get("via", {}).get(str(person))):
            level = row["detail"].get("level")
            return f"; on level {level} through {via}" if level is not None else f"; on duty through {via}"
    return ""


def _seen(theirs: Sequence[TimelineRow]) -> str:
    """The last that has happened, as a phone has said. That one has said nothing yet proves nothing."""
    said = {row["detail"].get("state"): row for row in theirs if row["type"] == "ReceiptRecorded"}
    last = next((said[state] for state in reversed(ReceiptState) if state in said), None)
    return f"; {last['summary']}" if last is not None else ""


def _kept_quiet(rows: Sequence[TimelineRow], person: UUID) -> tuple[str, list[TimelineRow]] | None:
    """Why somebody whom a level would have reached was not paged, where the incident was to page nobody."""
    plan = next((row for row in reversed(rows) if row["type"] in _PLANS), None)
    planned = plan["detail"].get("planned", {}).get(str(person)) if plan is not None else None
    if plan is None or planned is None:
        return None
    quiet = next((row for row in reversed(rows) if row["type"] in ("PagingSuppressed", "IncidentSuppressed")), None)
    if quiet is None or rows.index(quiet) < rows.index(plan):
        return None
    level, via = planned
    return f"level {level} through {via} would have paged them: {quiet['summary']}", [plan, quiet]


def _never_named(rows: Sequence[TimelineRow], person: UUID) -> tuple[str, list[TimelineRow]]:
    """Why no level named somebody, and the events that say so."""
    for row in reversed(rows):
        if row["type"] in _FIRED and str(person) in row["detail"].get("passed", ()):
            return f"deactivated when level {row['detail'].get('level')} was paged: passed over", [row]
    started = next((row for row in rows if row["type"] == "EscalationStarted"), None)
    if started is None:
        return "no escalation has started", list(rows[:1])
    planned = started["detail"].get("planned", {}).get(str(person))
    if planned is None:
        version = started["detail"].get("policyVersion")
        return f"no level of the policy{f' (version {version})' if version else ''} names this person", [started]
    level, via = planned
    fired = [row for row in rows if row["type"] in _FIRED and row["detail"].get("level") == level]
    if fired:
        return f"on level {level} through {via} when it started, not any more when it fired", [started, fired[0]]
    stopped = next((row for row in rows if row["type"] == "EscalationCancelled"), None)
    if stopped is not None:
        return f"level {level} ({via}) never fired: {stopped['summary']}", [started, stopped]
    return f"level {level} ({via}) has not fired yet", [started]


def _chain(rows: Sequence[TimelineRow], telling: Sequence[TimelineRow]) -> tuple[ChainLink, ...]:
    """These events and all their causes, back to the alert; beside a level, the start that says which policy ran."""
    known = {row["event_id"]: row for row in rows}
    wanted: set[UUID] = set()
    for row in (*telling, *_starts(rows, telling)):
        at: TimelineRow | None = row
        while at is not None and at["event_id"] not in wanted:
            wanted.add(at["event_id"])
            at = known.get(at["causation_id"])
    return tuple(_link(row) for row in rows if row["event_id"] in wanted)


def _starts(rows: Sequence[TimelineRow], telling: Sequence[TimelineRow]) -> Iterable[TimelineRow]:
    """The start of the escalation that each level among `telling` belongs to."""
    levels = {row["event_id"] for row in telling if row["type"] in _FIRED}
    start: TimelineRow | None = None
    for row in rows:
        if row["type"] == "EscalationStarted":
            start = row
        elif row["event_id"] in levels and start is not None:
            yield start


def _link(row: TimelineRow) -> ChainLink:
    return ChainLink(event_id=row["event_id"], at=row["at"], type=row["type"], summary=row["summary"])


def _client(row: TimelineRow) -> Client | None:
    """What sends alerts, and our services, are machines whatever they say."""
    is_machine = row["actor"]["kind"] in (ActorKind.INTEGRATION, ActorKind.SERVICE)
    return Client.MACHINE if is_machine else Client.read(row["detail"].get("client"))


def entries(rows: Iterable[TimelineRow]) -> tuple[TimelineEntry, ...]:
    return tuple(
        TimelineEntry(
            at=row["at"],
            type=row["type"],
            actor=row["actor"],
            client=_client(row),
            summary=row["summary"],
            event_id=row["event_id"],
            causation_id=row["causation_id"],
        )
        for row in rows
    )
