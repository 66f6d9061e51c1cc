"""What senders say becomes of incidents: a batch of alerts opens, groups, raises, acknowledges and resolves them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from libs.chassis.store.changes import Added
from libs.chassis.store.work import Cause, Work
from libs.contracts.alerts import Action
from libs.contracts.envelope import Actor
from libs.contracts.incidents import AlertPlace, IncidentCreated
from services.incidents import dedup
from services.incidents.alerts.threads import Signal, Thread, is_overtaken, was_answered
from services.incidents.application import INCIDENT, count_repeats
from services.incidents.domain import incident
from services.incidents.inputs import NOTHING_REPEATED, Inputs
from services.incidents.projections import seen_alerts


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
        key: Thread(
            known.incident_id,
            known.generation,
            known.is_open,
            known.place,
            known.repeats,
            1 + known.repeats.times,
        )
        for key, known in inputs.threads(list(_shared(signals))).items()
    }
    # The expected ones in one query, and more where a batch resolves and re-opens.
    ready = iter(inputs.numbers(len(set(keys) - {k for k, t in threads.items() if t.is_open})))
    numbers = partial(_following, ready, inputs)
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
    inputs.unused(ready)
    for thread in threads.values():
        _flush(work, thread)


def _shared(signals: Sequence[Signal]) -> set[UUID]:
    """Threads that may have begun with an earlier alert."""
    return {s.thread for s in signals if not dedup.stands_alone(s.dedup_key)}


def _preload(work: Work, signals: Iterable[tuple[UUID, Signal]], threads: dict[UUID, Thread]) -> None:
    """Every incident that the batch may touch: those that are open, in one query, and the next generations."""
    work.load(INCIDENT, [t.incident_id for t in threads.values() if t.is_open])
    following: list[UUID] = []
    for key, signal in signals:
        thread = threads.get(key)
        if thread is None or not thread.is_open:
            generation = thread.generation + 1 if thread else 1
            following.append(dedup.incident_id(signal.integration_id, signal.dedup_key, generation))
    work.expect_new(INCIDENT, following)


def _agree(work: Work, threads: Iterable[Thread], pin: Callable[[], None]) -> None:
    """Rows were read a moment before the events: what was committed in between is in these alone."""
    for thread in threads:
        if thread.is_open:
            state = work.state(INCIDENT, thread.incident_id)
            thread.is_open = state.is_open
            if state.alert_count > thread.counted or thread.again.times > thread.again.placed:
                pin()  # then what is still missing was counted by an older release, in the log alone or without a place


def _following(ready: Iterator[int], inputs: Inputs) -> int:
    number = next(ready, None)
    return inputs.numbers(1)[0] if number is None else number


def _pinning(work: Work, inputs: Inputs, threads: Mapping[UUID, Thread]) -> Callable[[], None]:
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
    threads: dict[UUID, Thread],
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
            threads[key] = Thread(incident_id, generation, is_open=True, place=signal.place)
            fact = _created(signal, actor, incident_id, generation, numbers(), work.now)
            work.decide(INCIDENT, incident_id, incident.OpenIncident(fact), cause)
        case Action.ACKNOWLEDGE | Action.RESOLVE if thread is not None and thread.is_open:
            _heed(work, thread, signal, cause, pin)
        case _:
            pass  # acknowledging or resolving what is not open: dropped, as PagerDuty's Events API does


def _heed(work: Work, thread: Thread, signal: Signal, cause: Cause, pin: Callable[[], None]) -> None:
    """A sender's answer speaks of what fired before it: it never ends what has fired since."""
    pin()
    if is_overtaken(work, thread, signal):
        if signal.alert.action is Action.RESOLVE and was_answered(work, thread, signal):
            # What has fired since is another fire, of which nobody was told: it was grouped into one that was answered.
            again = "It fired again after it was resolved."
            _answer(work, thread, incident.Resolve(cause.actor, work.now), cause, pin)
            _answer(work, thread, incident.Reopen(cause.actor, work.now, again), cause, pin)
    elif signal.alert.action is Action.ACKNOWLEDGE:
        _answer(work, thread, incident.Acknowledge(cause.actor, work.now), cause, pin)
    else:
        _answer(work, thread, incident.Resolve(cause.actor, work.now), cause, pin)
        thread.is_open = False


def _answer(
    work: Work,
    thread: Thread,
    command: incident.Acknowledge | incident.Resolve | incident.Raise | incident.Reopen,
    cause: Cause,
    pin: Callable[[], None],
) -> None:
    """What becomes of it says how many alerts there were by then."""
    pin()
    _flush(work, thread)
    work.decide(INCIDENT, thread.incident_id, incident.Counted(command, thread.counted), cause)


def _raise(work: Work, thread: Thread, signal: Signal, cause: Cause, pin: Callable[[], None]) -> None:
    """The same problem again, and worse: its people are paged as for the new priority."""
    if signal.alert.priority.is_worse_than(work.state(INCIDENT, thread.incident_id).worst):
        _answer(work, thread, incident.Raise(signal.alert.priority, cause.actor, work.now), cause, pin)


def _flush(work: Work, thread: Thread) -> None:
    if thread.repeats and thread.newest is not None and thread.cause is not None:
        alert, place = thread.newest.alert, thread.newest.place
        command = incident.GroupAlerts(thread.counted, thread.repeats, work.now, alert.title, alert.description)
        thread.counted, thread.again = count_repeats(
            work, thread.incident_id, command, thread.cause, thread.again, place
        )
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
