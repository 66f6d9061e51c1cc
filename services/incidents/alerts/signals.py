"""What senders say becomes of incidents: a batch of alerts opens, groups, raises, acknowledges and resolves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.chassis.store.changes import Added
from libs.chassis.store.cursors import Position
from libs.chassis.store.work import Cause, Work
from libs.contracts.alerts import Action, Alert
from libs.contracts.envelope import Actor, ActorKind
from libs.contracts.incidents import AlertPlace, IncidentCreated, Status
from services.incidents.alerts import dedup
from services.incidents.alerts.places import are_comparable, is_later, place_at
from services.incidents.application import INCIDENT, count_repeats
from services.incidents.domain import incident
from services.incidents.inputs import NOTHING_REPEATED, Inputs, Repeats
from services.incidents.projections import seen_alerts


@dataclass(frozen=True, slots=True)
class Signal:
    """One alert, with the integration it came through and the key that it is grouped by."""

    alert: Alert
    integration_id: UUID
    policy_id: UUID | None
    team_id: UUID | None
    dedup_key: str
    traceparent: str
    place: Position | None = None
    """Where it stands in ALERTS (`places.py`); None where that is not known."""
    fired_before: datetime | None = None
    """Of an answer: it ends a trigger without a place only if that fired before then (`places.py`); None: none."""

    @property
    def actor(self) -> Actor:
        return Actor(kind=ActorKind.INTEGRATION, id=str(self.integration_id))

    @property
    def thread(self) -> UUID:
        """The dedup key's id: what the alerts of one problem share."""
        return dedup.dedup_id(self.integration_id, self.dedup_key)

    @property
    def repeat_id(self) -> UUID | None:
        """What makes it a repeat of itself rather than another alert of the same kind."""
        alert = self.alert
        if alert.event_id is None or alert.event_source is None:
            return None
        return dedup.event_identity(self.integration_id, alert.event_source, alert.event_id, alert.body_digest)


@dataclass(slots=True)
class _Thread:
    """The newest incident of a dedup key, as it stands within a batch."""

    incident_id: UUID
    generation: int
    is_open: bool
    place: Position | None = None
    """Where the alert stands in ALERTS that opened it."""
    again: Repeats = NOTHING_REPEATED
    """Its repeats before this batch, as the rows said when they were read."""
    counted: int = 1
    """Its alerts, with those of this batch that have been added to the rows."""
    repeats: int = 0
    newest: Signal | None = None
    """The last of its repeats that are not counted yet."""
    cause: Cause | None = None


def _at_once(_signal: Signal) -> bool:
    return False


def take_signals(
    work: Work, signals: Sequence[Signal], inputs: Inputs, put_off: Callable[[Signal], bool] = _at_once
) -> None:
    """Open, group, raise, acknowledge and resolve as a batch of alerts asks; what comes again is no alert.

    `put_off`: keeps what cannot take effect yet, and says so.
    """
    seen = inputs.seen([i for s in signals if (i := s.repeat_id) is not None])
    keys = [s.thread for s in signals]
    threads = {
        key: _Thread(
            known.incident_id,
            known.generation,
            known.is_open,
            known.place,
            known.repeats,
            1 + known.repeats.times,
        )
        for key, known in inputs.threads(list(_shared(signals))).items()
    }
    numbers = _number_source(inputs, len(set(keys) - {k for k, t in threads.items() if t.is_open}))
    _preload(work, zip(keys, signals, strict=True), threads)
    pin = _pinning(work, inputs, threads)
    _agree(work, threads.values(), pin)
    for key, signal in zip(keys, signals, strict=True):
        repeat = signal.repeat_id
        if repeat is not None:
            if repeat in seen:
                continue
            seen.add(repeat)
            # Not over one that is there: the other lane has taken it meanwhile, and this batch is tried again.
            work.put(Added(seen_alerts, {"id": repeat, "seen_at": work.now}))
        if signal.alert.action is not Action.TRIGGER and put_off(signal):
            continue
        _take(work, signal, key, threads, numbers, pin)
    for thread in threads.values():
        _flush(work, thread)


def _shared(signals: Sequence[Signal]) -> set[UUID]:
    """Threads that may have begun with an earlier alert."""
    return {s.thread for s in signals if not dedup.stands_alone(s.dedup_key)}


def _preload(work: Work, signals: Iterable[tuple[UUID, Signal]], threads: dict[UUID, _Thread]) -> None:
    """Every incident that the batch may touch: those that are open, in one query, and the next generations."""
    work.load(INCIDENT, [t.incident_id for t in threads.values() if t.is_open])
    following: list[UUID] = []
    for key, signal in signals:
        thread = threads.get(key)
        if thread is None or not thread.is_open:
            generation = thread.generation + 1 if thread else 1
            following.append(dedup.incident_id(signal.integration_id, signal.dedup_key, generation))
    work.expect_new(INCIDENT, following)


def _agree(work: Work, threads: Iterable[_Thread], pin: Callable[[], None]) -> None:
    """Rows were read a moment before the events: what was committed in between is in these alone."""
    for thread in threads:
        if thread.is_open:
            state = work.state(INCIDENT, thread.incident_id)
            thread.is_open = state.is_open
            if state.alert_count > thread.counted:
                pin()  # then what is still missing in the row was counted by an older release, in the log alone


def _number_source(inputs: Inputs, expected: int) -> Callable[[], int]:
    """Numbers for new incidents: the expected ones in one query, and more where a batch resolves and re-opens."""
    numbers = iter(inputs.numbers(expected))

    def following() -> int:
        number = next(numbers, None)
        return inputs.numbers(1)[0] if number is None else number

    return following


def _pinning(work: Work, inputs: Inputs, threads: Mapping[UUID, _Thread]) -> Callable[[], None]:
    """What makes all that the rows say of repeats exact until the end of this transaction, once it is called."""
    known = {t.incident_id: t for t in threads.values() if t.is_open}

    def pin() -> None:
        if known:
            work.lock_appends()
            rows = inputs.repeats(list(known))
            for incident_id, thread in known.items():
                before, thread.again = thread.again, rows.get(incident_id, NOTHING_REPEATED)
                thread.counted += thread.again.times - before.times
            known.clear()

    return pin


def _take(
    work: Work,
    signal: Signal,
    key: UUID,
    threads: dict[UUID, _Thread],
    numbers: Callable[[], int],
    pin: Callable[[], None],
) -> None:
    thread = threads.get(key)
    actor = signal.actor
    cause = work.begin(actor, signal.traceparent)
    match signal.alert.action:
        case Action.TRIGGER if thread is not None and thread.is_open:
            # Repeats of a batch fold into one event when the batch ends, or when a resolve comes between.
            thread.repeats += 1
            thread.newest, thread.cause = signal, cause
            _raise(work, thread, signal, cause, pin)
        case Action.TRIGGER:
            generation = thread.generation + 1 if thread else 1
            incident_id = dedup.incident_id(signal.integration_id, signal.dedup_key, generation)
            threads[key] = _Thread(incident_id, generation, is_open=True, place=signal.place)
            fact = _created(signal, actor, incident_id, generation, numbers(), work.now)
            work.decide(INCIDENT, incident_id, incident.OpenIncident(fact), cause)
        case Action.ACKNOWLEDGE | Action.RESOLVE if thread is not None and thread.is_open:
            _heed(work, thread, signal, cause, pin)
        case _:
            pass  # acknowledging or resolving what is not open: dropped, as PagerDuty's Events API does


def _heed(work: Work, thread: _Thread, signal: Signal, cause: Cause, pin: Callable[[], None]) -> None:
    """A sender's answer speaks of what fired before it: it never ends what has fired since."""
    pin()
    if _is_overtaken(work, thread, signal):
        if signal.alert.action is Action.RESOLVE and _was_answered(work, thread, signal):
            # What has fired since is another fire, of which nobody was told: it was grouped into one that was answered.
            again = "It fired again after it was resolved."
            _answer(work, thread, incident.Resolve(cause.actor, work.now), cause, pin)
            _answer(work, thread, incident.Reopen(cause.actor, work.now, again), cause, pin)
    elif signal.alert.action is Action.ACKNOWLEDGE:
        _answer(work, thread, incident.Acknowledge(cause.actor, work.now), cause, pin)
    else:
        _answer(work, thread, incident.Resolve(cause.actor, work.now), cause, pin)
        thread.is_open = False


class _Fired(NamedTuple):
    """What made an incident fire: where that stands in ALERTS, if it is known, and by when it had been taken."""

    place: Position | None
    at: datetime

    def is_behind(self, signal: Signal) -> bool:
        """Whether it came after an answer, or may have: then the answer knows nothing of it."""
        if self.place is not None and signal.place is not None and are_comparable(self.place, signal.place):
            return is_later(self.place, signal.place)
        return signal.fired_before is None or self.at > signal.fired_before


def _opening(work: Work, thread: _Thread) -> _Fired:
    created = work.state(INCIDENT, thread.incident_id).created
    return _Fired(thread.place, created.created_at if created else work.now)


def _repeated(work: Work, thread: _Thread) -> Iterator[_Fired]:
    """The newest of its repeats with a place, of those without one, and of those that an older release counted."""
    state, again = work.state(INCIDENT, thread.incident_id), thread.again
    if again.last_at is not None and again.place is not None:
        yield _Fired(again.place, again.last_at)
    if again.last_at is not None and again.times > again.placed:
        yield _Fired(None, again.last_at)
    if again.unplaced_at is not None:
        yield _Fired(None, again.unplaced_at)
    if state.told_at is not None and state.alert_count > thread.counted:
        yield _Fired(None, state.told_at)
    if thread.newest is not None:
        yield _Fired(thread.newest.place, work.now)


def _is_overtaken(work: Work, thread: _Thread, signal: Signal) -> bool:
    return any(fired.is_behind(signal) for fired in (_opening(work, thread), *_repeated(work, thread)))


def _was_answered(work: Work, thread: _Thread, signal: Signal) -> bool:
    """Whether somebody had answered what this resolve ends, and nobody what has fired since."""
    state = work.state(INCIDENT, thread.incident_id)
    quiet = state.status is Status.ACKNOWLEDGED or state.snoozed_until is not None
    if not quiet or signal.place is None or _opening(work, thread).is_behind(signal):
        return False
    # A sender's acknowledgement that has taken effect by now stands before this resolve in the stream.
    return state.heard is None or not _has_heard(state.heard, signal.place, _repeated(work, thread))


def _has_heard(person: incident.Heard, resolved: Position, repeats: Iterable[_Fired]) -> bool:
    """Whether a person answered after something had been taken that fired behind a resolve.

    What repeats it later is the same fire, of which nobody has to be told again.
    """
    if person.place is not None:
        place = place_at(person.place.incarnation, person.place.sequence)
        if place is not None and is_later(place, resolved):
            return True
    return all(person.at >= fired.at for fired in repeats)


def _answer(
    work: Work,
    thread: _Thread,
    command: incident.Acknowledge | incident.Resolve | incident.Raise | incident.Reopen,
    cause: Cause,
    pin: Callable[[], None],
) -> None:
    """What becomes of it says how many alerts there were by then."""
    pin()
    _flush(work, thread)
    work.decide(INCIDENT, thread.incident_id, incident.Counted(command, thread.counted), cause)


def _raise(work: Work, thread: _Thread, signal: Signal, cause: Cause, pin: Callable[[], None]) -> None:
    """The same problem again, and worse: its people are paged as for the new priority."""
    if signal.alert.priority.is_worse_than(work.state(INCIDENT, thread.incident_id).priority):
        _answer(work, thread, incident.Raise(signal.alert.priority, cause.actor, work.now), cause, pin)


def _flush(work: Work, thread: _Thread) -> None:
    if thread.repeats and thread.newest is not None and thread.cause is not None:
        alert, place = thread.newest.alert, thread.newest.place
        command = incident.GroupAlerts(thread.counted, thread.repeats, work.now, alert.title, alert.description)
        thread.counted = count_repeats(work, thread.incident_id, command, thread.cause, place)
        thread.repeats = 0


def _created(
    signal: Signal, actor: Actor, incident_id: UUID, generation: int, number: int, now: datetime
) -> IncidentCreated:
    alert, place = signal.alert, signal.place
    return IncidentCreated(
        incident_id=incident_id,
        number=number,
        title=alert.title,
        description=alert.description,
        priority=alert.priority,
        source=alert.source,
        integration_id=signal.integration_id,
        dedup_key=signal.dedup_key,
        generation=generation,
        policy_id=signal.policy_id,
        team_id=signal.team_id,
        created_by=actor,
        created_at=now,
        occurred_at=alert.occurred_at,
        metadata=alert.metadata,
        place=None if place is None else AlertPlace(incarnation=place.incarnation, sequence=place.position),
    )
