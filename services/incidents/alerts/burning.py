"""The alerts of one incident within a batch: a trigger is a further one or a repeat, a resolve ends one or all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from libs.chassis.store.work import Cause, Work
from libs.contracts.incident_alerts import AlertAdded, AlertOutcome
from libs.contracts.labels import brief
from services.incidents import dedup
from services.incidents.alerts.threads import Signal, Thread, is_alert_overtaken
from services.incidents.application import INCIDENT, add_alert, count_alert, count_repeats
from services.incidents.domain import commands
from services.incidents.domain.alerts import Alerts, ResolveAlert, is_full
from services.incidents.inputs import Inputs, Repeats
from services.incidents.places import latest

Pin = Callable[[], None]
"""Makes all that the rows say exact until the end of the transaction."""


def trigger(work: Work, thread: Thread, signal: Signal, cause: Cause, pin: Pin, inputs: Inputs) -> AlertOutcome:
    """An alert of an open incident.

    Repeats of a batch fold into one event when the batch ends, or when something else comes between.
    """
    its, alert_id = _alerts(work, thread), _alert_id(thread, signal)
    is_held = alert_id in its.burning
    if not (is_held or is_full(its)):
        return _add(work, thread, signal, cause, pin, inputs)
    thread.repeats += 1
    thread.fire(alert_id, signal, cause).times += 1
    return AlertOutcome.FOLDED if is_held else AlertOutcome.CROWDED


def _add(work: Work, thread: Thread, signal: Signal, cause: Cause, pin: Pin, inputs: Inputs) -> AlertOutcome:
    its, alert_id, alert = _alerts(work, thread), _alert_id(thread, signal), signal.alert
    if not its.added:
        pin()  # from now on the first one is counted by itself, and has come as often as all of them so far
    flush(work, thread)
    was_there = alert_id == its.first or alert_id in thread.firing or bool(inputs.alert_repeats([alert_id]))
    fact = AlertAdded(
        incident_id=thread.incident_id,
        alert_id=alert_id,
        fingerprint=alert.fingerprint,
        again=was_there,
        title=alert.title,
        description=brief(alert.description),
        priority=alert.priority,
        source=alert.source,
        labels=alert.labels,
        links=alert.links,
        occurred_at=alert.occurred_at,
        by=cause.actor,
        at=work.now,
    )
    thread.counted, thread.again = add_alert(
        work, fact, cause, thread.counted, thread.again, _first(work, thread), signal.place
    )
    if alert_id not in _alerts(work, thread).burning:
        thread.newest, thread.cause = signal, cause
        return AlertOutcome.CROWDED
    thread.fire(alert_id, signal, cause)
    return AlertOutcome.ADDED


def _first(work: Work, thread: Thread) -> Repeats:
    """Of the first alert, as long as it is the only one."""
    opened = work.state(INCIDENT, thread.incident_id).created
    again = thread.again
    place, last_at = latest(thread.place, again.place), again.last_at or (opened.created_at if opened else work.now)
    for firing in thread.firing.values():
        place, last_at = latest(place, firing.place), work.now
    return again._replace(place=place, last_at=last_at)


def resolve(work: Work, thread: Thread, alert_ids: Iterable[UUID], cause: Cause, pin: Pin) -> None:
    """These are over; with the last one of all, the incident."""
    pin()
    flush(work, thread)
    for alert_id in alert_ids:
        command = ResolveAlert(alert_id, cause.actor, work.now)
        work.decide(INCIDENT, thread.incident_id, commands.Counted(command, thread.counted), cause)
    thread.is_open = work.state(INCIDENT, thread.incident_id).is_open


def named(thread: Thread, signal: Signal) -> UUID | None:
    """The alert that a resolve names, where it names one; None: it is about all of them."""
    return None if signal.alert.fingerprint is None else _alert_id(thread, signal)


def ended(work: Work, thread: Thread, signal: Signal, inputs: Inputs) -> list[UUID]:
    """Of several alerts those that a resolve knows all about."""
    its = _alerts(work, thread)
    wanted = named(thread, signal)
    about = [i for i in its.burning if wanted in (None, i)]
    rows = inputs.alert_repeats(about)
    return [i for i in about if not is_alert_overtaken(work, thread, signal, i, rows.get(i))]


def flush(work: Work, thread: Thread) -> None:
    """What has been repeated so far is counted."""
    if thread.repeats and thread.newest is not None and thread.cause is not None:
        alert, place = thread.newest.alert, thread.newest.place
        said, first = _alert_id(thread, thread.newest), _alerts(work, thread).first
        text = alert.description if said == first else brief(alert.description)
        command = commands.GroupAlerts(thread.counted, thread.repeats, work.now, alert.title, text, said)
        thread.counted, thread.again = count_repeats(
            work, thread.incident_id, command, thread.cause, thread.again, place
        )
        thread.repeats = 0
        for alert_id, firing in thread.firing.items():
            if firing.times:
                count_alert(work, thread.incident_id, alert_id, firing.times, firing.place)
                firing.times = 0


def _alerts(work: Work, thread: Thread) -> Alerts:
    return work.state(INCIDENT, thread.incident_id).alerts


def _alert_id(thread: Thread, signal: Signal) -> UUID:
    return dedup.alert_id(thread.incident_id, signal.alert.fingerprint)
