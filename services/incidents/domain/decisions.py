"""What follows for an incident from each command, by its state; what people may do is judged by `transitions`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.contracts.envelope import Fact
from libs.contracts.incidents import (
    AcknowledgementLimited,
    AlertPlace,
    AlertsGrouped,
    CountedFact,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEscalated,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    NoteAdded,
    ResolutionPlanned,
    Status,
)
from libs.contracts.requests import Invalid, NotFound
from services.incidents.domain import alerts as its_alerts
from services.incidents.domain.alerts import AddAlert, ResolveAlert
from services.incidents.domain.commands import (
    Acknowledge,
    Act,
    AddNote,
    Close,
    Command,
    Counted,
    Edit,
    Escalate,
    GroupAlerts,
    Late,
    LimitAcknowledgement,
    OpenIncident,
    Resolve,
    ResolveQuiet,
    Snooze,
    Suppress,
)
from services.incidents.domain.edits import edited
from services.incidents.domain.incident import Heard, Incident, evolve
from services.incidents.domain.paging import begins
from services.incidents.domain.transitions import Overtaken, check

NEWS_EVERY = timedelta(minutes=1)
"""How often it may be told that an incident's alerts say something else, beside the steps of their number: a sender
whose text holds a measured value changes it with every alert."""


class NoSuchIncident(NotFound):
    """There is no such incident."""


def decide(command: Command, state: Incident) -> Sequence[Fact]:
    """One arm per row; repeating a command decides nothing.

    What ends a snooze, a suppression, an acknowledgement or a resolution, or makes it worse, is decided together with
    the request to page again: there is no moment in which it needs people and nobody is asked to page them.

    Raises:
        NoSuchIncident, Illegal, Overtaken, TooLongAgo, Invalid.
    """
    created = state.created
    if created is None:
        if isinstance(command, OpenIncident):
            return [command.fact]
        raise NoSuchIncident
    if isinstance(command, Act):
        check(command, state)
    match command:
        case OpenIncident():
            return []
        case Counted(wanted, alerts, place):
            return [_counted(fact, max(alerts, state.alert_count), place) for fact in decide(wanted, state)]
        case Late():
            return _late(command, state)
        case GroupAlerts() if state.is_open:
            return _grouped(command, state, created)
        case AddAlert() if state.is_open:
            return its_alerts.add(command, state.alerts)
        case ResolveAlert() if state.is_open:
            return _alert_resolved(command, state, created)
        case Escalate() if state.is_open and _is_news(command, state):
            return [_escalated(command, created)]
        case Acknowledge() if _says_more(command, state):
            return [_acknowledged(command, state, created)]
        case Resolve(by, at, notes) | ResolveQuiet(by, at, notes) if _is_to_end(command, state):
            return [IncidentResolved(incident_id=created.incident_id, run=state.run, by=by, at=at, notes=notes)]
        case Close(by, at, notes) if state.status is Status.RESOLVED:
            return [IncidentClosed(incident_id=created.incident_id, run=state.run, by=by, at=at, notes=notes)]
        case Snooze():
            return _snoozed(command, state, created)
        case Suppress() if command.suppression != state.suppression:
            return [_suppressed(command, state, created)]
        case LimitAcknowledgement() if _is_held(command, state):
            return _limited(command, state, created)
        case AddNote(note_id, text, by, at):
            return [NoteAdded(incident_id=created.incident_id, note_id=note_id, text=text, by=by, at=at)]
        case Edit():
            return edited(command, state, created)
        case _:
            return begins(command, state, created)


def _late(command: Late, state: Incident) -> list[Fact]:
    """What keeps it quiet is about the paging that its sender knew of, and says when it was done."""
    quiets = isinstance(command.command, Acknowledge | Resolve | Snooze | Suppress)
    check(command.command, state)
    if quiets and state.is_open and state.run > 1 and state.began_at and command.said_at < state.began_at:
        raise Overtaken(state.began_at)
    if isinstance(command.command, Acknowledge) and state.snoozed_until and _is_before(command.said_at, state.heard):
        return []  # who has snoozed it since knew better
    return [_dated(fact, command) for fact in decide(command.command, state)]


def _is_before(said_at: datetime, heard: Heard | None) -> bool:
    return heard is not None and said_at < heard.at


def _dated(fact: Fact, command: Late) -> Fact:
    if "occurred_at" in type(fact).model_fields:
        return fact.model_copy(update={"occurred_at": command.said_at})
    return fact


def _says_more(command: Acknowledge, state: Incident) -> bool:
    """The first of this person in this run, or notes that theirs have not said yet: repeated it is no news."""
    theirs = [a.notes for a in state.acknowledgements if a.user_id == command.by.id and a.run == state.run]
    is_new = not theirs or (command.notes is not None and command.notes not in theirs)
    # Whoever acknowledges what is snoozed has it from now on.
    return is_new or state.snoozed_until is not None


def _is_to_end(command: Resolve | ResolveQuiet, state: Incident) -> bool:
    if isinstance(command, Resolve):
        return state.is_open
    is_quiet = state.status is Status.ACKNOWLEDGED and state.snoozed_until is None
    return is_quiet and state.resolves_at is not None and state.resolves_at <= command.at


def _is_held(command: LimitAcknowledgement, state: Incident) -> bool:
    """Whether it was the present levels that were answered."""
    return state.status is Status.ACKNOWLEDGED and command.run >= state.answers_from


def _alert_resolved(command: ResolveAlert, state: Incident, created: IncidentCreated) -> list[Fact]:
    """The last one ends the incident, as a person would; that it was the only one needs no event of its own."""
    if not its_alerts.is_last(command.alert_id, state.alerts, created):
        return its_alerts.resolve(command, state.alerts, created.incident_id)
    if not state.alerts.has_rows:
        return [*decide(Resolve(command.by, command.at), state)]
    over = its_alerts.resolve(command, state.alerts, created.incident_id)
    for fact in over:
        state = evolve(state, fact)
    return [*over, *decide(Resolve(command.by, command.at, "Its last alert is over."), state)]


def alerts_after(command: GroupAlerts, state: Incident) -> int:
    """How many there are with these: as the rows say, or the log where an older release has counted in it alone.

    Where the log has more, whoever asks has read the rows after it, and nobody has added to them since.
    """
    return max(command.counted, state.alert_count) + command.more


def _grouped(command: GroupAlerts, state: Incident, created: IncidentCreated) -> list[Fact]:
    """Most repeats are only counted: what they cost must not grow with their number."""
    alerts = alerts_after(command, state)
    is_news = _says_something_else(command, state)
    is_time = state.told_at is None or command.last_at - state.told_at >= NEWS_EVERY
    if not (_step(alerts - 1) > state.alert_count - 1 or (is_news and is_time)):
        return []
    grouped = AlertsGrouped(
        incident_id=created.incident_id,
        count=alerts - state.alert_count,
        last_at=command.last_at,
        alert_count=alerts,
        title=command.title if is_news else None,
        description=command.description if is_news else None,
        alert_id=command.alert_id if is_news and command.alert_id != state.alerts.first else None,
    )
    return [grouped]


def _says_something_else(command: GroupAlerts, state: Incident) -> bool:
    """Of an alert that is not held nothing is known but that it came."""
    if command.alert_id in (None, state.alerts.first):
        return (command.title, command.description) != (state.title, state.description)
    told = state.alerts.burning.get(command.alert_id)
    return told is not None and told != its_alerts.digest(command.title, command.description)


def _step(repeats: int) -> int:
    """The last of 1, 2, 5, 10, 20, 50 … up to a number; 0 before the first."""
    power = int(10 ** (len(str(repeats)) - 1))
    return max((step for step in (power, 2 * power, 5 * power) if step <= repeats), default=0)


def _counted(fact: Fact, alerts: int, place: AlertPlace | None) -> Fact:
    match fact:
        case IncidentAcknowledged() | IncidentSnoozed():
            return fact.model_copy(update={"alert_count": alerts, "place": place})
        case CountedFact():
            return fact.model_copy(update={"alert_count": alerts})
        case _:
            return fact


def _is_news(command: Escalate, state: Incident) -> bool:
    """Not of an earlier run than the present one, and not lower than what is known already."""
    return command.run >= state.run and (command.run, command.round, command.level) > state.paged


def _snoozed(command: Snooze, state: Incident, created: IncidentCreated) -> list[Fact]:
    if command.until <= command.at:
        raise Invalid("a snooze ends in the future", field="minutes")
    if state.snoozed_until == command.until:
        return []
    snoozed = IncidentSnoozed(
        incident_id=created.incident_id, run=state.run, by=command.by, at=command.at, until=command.until
    )
    return [snoozed]


def _suppressed(command: Suppress, state: Incident, created: IncidentCreated) -> IncidentSuppressed:
    until = command.suppression.until
    if until is not None and until <= command.at:
        raise Invalid("a suppression ends in the future", field="minutes")
    return IncidentSuppressed(
        incident_id=created.incident_id,
        run=state.run,
        suppression=command.suppression,
        by=command.by,
        at=command.at,
        reason=command.reason,
    )


def _limited(command: LimitAcknowledgement, state: Incident, created: IncidentCreated) -> list[Fact]:
    """From when it was acknowledged; the first that is heard of either counts."""
    incident_id, at = created.incident_id, command.at
    since = state.acknowledged[0].at if state.acknowledged else at
    facts: list[Fact] = []
    if command.time is not None and state.acknowledged_until is None:
        facts.append(AcknowledgementLimited(incident_id=incident_id, at=at, until=since + command.time))
    if (quiet := command.quiet) is not None and state.quiet is None:
        minutes = quiet / timedelta(minutes=1)
        planned = ResolutionPlanned(incident_id=incident_id, at=at, quiet_minutes=minutes, resolves_at=since + quiet)
        facts.append(planned)
    return facts


def _acknowledged(command: Acknowledge, state: Incident, created: IncidentCreated) -> IncidentAcknowledged:
    return IncidentAcknowledged(
        incident_id=created.incident_id,
        run=state.run,
        by=command.by,
        at=command.at,
        notes=command.notes,
        # What its policy says counts; it has been told of with the first acknowledgement.
        resolves_at=command.at + state.quiet if state.quiet is not None else command.resolves_at,
    )


def _escalated(command: Escalate, created: IncidentCreated) -> IncidentEscalated:
    return IncidentEscalated(
        incident_id=created.incident_id,
        run=command.run,
        level=command.level,
        round=command.round,
        user_ids=command.user_ids,
        next_at=command.next_at,
        exhausted=command.exhausted,
    )
