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
from libs.contracts.incident_alerts import AlertOutcome
from libs.contracts.incidents import AlertPlace, IncidentCreated
from services.incidents import dedup
from services.incidents.alerts import burning
from services.incidents.alerts.threads import Signal, Thread, is_overtaken, was_answered
from services.incidents.application import INCIDENT
from services.incidents.domain import commands
from services.incidents.domain.alerts import is_last, opened_by_alerts
from services.incidents.inputs import NOTHING_REPEATED, Inputs
from services.incidents.projections import seen_alerts

Tell = Callable[[Signal, AlertOutcome, UUID | None], None]
"""Is told what became of each alert, and of which incident it is, if of any."""


def _at_once(_signal: Signal) -> bool:
    return False


def _untold(_signal: Signal, _outcome: AlertOutcome, _incident_id: UUID | None) -> None:
    pass


def take_signals(
    work: Work,
    signals: Sequence[Signal],
    inputs: Inputs,
    put_off: Callable[[Signal], bool] = _at_once,
    tell: Tell = _untold,
) -> None:
    """Open, group, raise, acknowledge and resolve as a batch of alerts asks; what comes again is no alert.

    `put_off`: keeps what cannot take effect yet, and says so. `tell`: hears what became of each, once.
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
                tell(signal, AlertOutcome.REPEATED, None)
                continue
            seen.add(repeat)
            # Not over one that is there: the other lane has taken it meanwhile, and this batch is tried again.
            work.put(Added(seen_alerts, {"id": repeat, "seen_at": work.now}))
        if signal.alert.action is not Action.TRIGGER and put_off(signal):
            tell(signal, AlertOutcome.WAITING, None)
            continue
        tell(signal, *_take(work, signal, key, threads, numbers, pin, inputs))
    inputs.unused(ready)
    for thread in threads.values():
        burning.flush(work, thread)


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
    inputs: Inputs,
) -> tuple[AlertOutcome, UUID | None]:
    thread = threads.get(key)
    actor = signal.actor
    cause = work.begin(actor, signal.traceparent)
    if thread is not None and thread.is_open:
        if signal.alert.action is not Action.TRIGGER:
            return _heed(work, thread, signal, cause, pin, inputs), thread.incident_id
        outcome = burning.trigger(work, thread, signal, cause, pin, inputs)
        _raise(work, thread, signal, cause, pin)
        return outcome, thread.incident_id
    if signal.alert.action is not Action.TRIGGER:
        return AlertOutcome.UNMATCHED, None  # dropped, as PagerDuty's Events API does
    generation = thread.generation + 1 if thread else 1
    incident_id = dedup.incident_id(signal.integration_id, signal.dedup_key, generation)
    threads[key] = Thread(incident_id, generation, is_open=True, place=signal.place)
    fact = _created(signal, actor, incident_id, generation, numbers(), work.now)
    work.decide(INCIDENT, incident_id, commands.OpenIncident(fact), cause)
    return AlertOutcome.CREATED, incident_id


def _heed(
    work: Work, thread: Thread, signal: Signal, cause: Cause, pin: Callable[[], None], inputs: Inputs
) -> AlertOutcome:
    """A sender's answer speaks of what fired before it: it never ends what has fired since."""
    pin()
    if signal.alert.action is Action.ACKNOWLEDGE:
        if is_overtaken(work, thread, signal):
            return AlertOutcome.OVERTAKEN
        _answer(work, thread, commands.Acknowledge(cause.actor, work.now), cause, pin)
        return AlertOutcome.ACKNOWLEDGED
    state = work.state(INCIDENT, thread.incident_id)
    wanted = burning.named(thread, signal)
    if wanted is not None and wanted not in state.alerts.burning:
        return AlertOutcome.UNMATCHED
    ends_all = wanted is None and state.created is not None and opened_by_alerts(state.created)
    if ends_all and not is_overtaken(work, thread, signal):
        _answer(work, thread, commands.Resolve(cause.actor, work.now), cause, pin)
        thread.is_open = False
        return AlertOutcome.RESOLVED
    over = burning.ended(work, thread, signal, inputs)
    if over:
        burning.resolve(work, thread, over, cause, pin)
    if thread.is_open and not over and _is_another_fire(work, thread, signal, wanted):
        # What has fired since is another fire, of which nobody was told: it was grouped into one that was answered.
        again = "It fired again after it was resolved."
        _answer(work, thread, commands.Resolve(cause.actor, work.now), cause, pin)
        _answer(work, thread, commands.Reopen(cause.actor, work.now, again), cause, pin)
        return AlertOutcome.RESOLVED
    return AlertOutcome.RESOLVED if over else AlertOutcome.OVERTAKEN


def _is_another_fire(work: Work, thread: Thread, signal: Signal, wanted: UUID | None) -> bool:
    """Whether a resolve would have ended an incident that somebody had answered, had it not fired again."""
    state = work.state(INCIDENT, thread.incident_id)
    if state.created is None or not opened_by_alerts(state.created):
        return False
    return (wanted is None or is_last(wanted, state.alerts, state.created)) and was_answered(work, thread, signal)


def _answer(
    work: Work,
    thread: Thread,
    command: commands.Acknowledge | commands.Resolve | commands.Raise | commands.Reopen,
    cause: Cause,
    pin: Callable[[], None],
) -> None:
    """What becomes of it says how many alerts there were by then."""
    pin()
    burning.flush(work, thread)
    work.decide(INCIDENT, thread.incident_id, commands.Counted(command, thread.counted), cause)


def _raise(work: Work, thread: Thread, signal: Signal, cause: Cause, pin: Callable[[], None]) -> None:
    """The same problem again, and worse: its people are paged as for the new priority."""
    if signal.alert.priority.is_worse_than(work.state(INCIDENT, thread.incident_id).worst):
        _answer(work, thread, commands.Raise(signal.alert.priority, cause.actor, work.now), cause, pin)


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
        alert_id=None if alert.fingerprint is None else dedup.alert_id(incident_id, alert.fingerprint),
        fingerprint=alert.fingerprint,
        labels=alert.labels,
        links=alert.links,
    )
