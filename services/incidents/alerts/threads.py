"""What one alert says, the incident that it belongs to, and whether an answer speaks of all that has fired there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.chassis.store.cursors import Position
from libs.chassis.store.work import Cause, Work
from libs.contracts.alerts import Action, Alert
from libs.contracts.envelope import Actor, ActorKind
from libs.contracts.incidents import Status
from libs.contracts.slots import thread_of
from services.incidents import dedup
from services.incidents.application import INCIDENT
from services.incidents.domain import incident
from services.incidents.inputs import NOTHING_REPEATED, Repeats
from services.incidents.places import are_comparable, is_later, latest, place_at


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
        return thread_of(self.integration_id, self.dedup_key)

    @property
    def repeat_id(self) -> UUID | None:
        """What makes it a repeat of itself rather than another alert of the same kind."""
        alert = self.alert
        if alert.event_id is None or alert.event_source is None:
            return None
        return dedup.event_identity(self.integration_id, alert.event_source, alert.event_id, alert.body_digest)


@dataclass(slots=True)
class Firing:
    """One alert of an incident within a batch: where it fired last, and how often that is in no row yet."""

    place: Position | None
    times: int = 0


@dataclass(slots=True)
class Thread:
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
    firing: dict[UUID, Firing] = field(default_factory=dict)
    """The alerts of the incident that have fired in this batch."""

    def fire(self, alert_id: UUID, signal: Signal, cause: Cause) -> Firing:
        """One of them fires."""
        self.newest, self.cause = signal, cause
        firing = self.firing.setdefault(alert_id, Firing(signal.place))
        firing.place = latest(firing.place, signal.place)
        return firing


class _Fired(NamedTuple):
    """What made an incident fire: where that stands in ALERTS, if it is known, and by when it had been taken."""

    place: Position | None
    at: datetime

    def is_behind(self, signal: Signal) -> bool:
        """Whether it came after an answer, or may have: then the answer knows nothing of it."""
        if self.place is not None and signal.place is not None and are_comparable(self.place, signal.place):
            return is_later(self.place, signal.place)
        return signal.fired_before is None or self.at > signal.fired_before


def _opening(work: Work, thread: Thread) -> _Fired:
    created = work.state(INCIDENT, thread.incident_id).created
    return _Fired(thread.place, created.created_at if created else work.now)


def _repeated(work: Work, thread: Thread) -> Iterator[_Fired]:
    """The newest of its repeats with a place, of those without one, and of those that an older release counted."""
    again = thread.again
    if again.last_at is not None and again.place is not None:
        yield _Fired(again.place, again.last_at)
    if again.unplaced_at is not None:
        yield _Fired(None, again.unplaced_at)
    yield from _by_an_older_release(work, thread)
    if thread.newest is not None:
        yield _Fired(thread.newest.place, work.now)


def _revived(work: Work, thread: Thread, action: Action) -> Iterator[_Fired]:
    """What made it burn anew without an alert: a person, or, for whoever acknowledges, the time that was over."""
    state = work.state(INCIDENT, thread.incident_id)
    if state.insisted_at is not None:
        yield _Fired(None, state.insisted_at)
    if action is Action.ACKNOWLEDGE and state.resumed_at is not None:
        yield _Fired(None, state.resumed_at)


def is_overtaken(work: Work, thread: Thread, signal: Signal) -> bool:
    """Whether an answer knows nothing of what last made its incident burn."""
    revived = _revived(work, thread, signal.alert.action)
    return any(fired.is_behind(signal) for fired in (_opening(work, thread), *_repeated(work, thread), *revived))


def is_alert_overtaken(work: Work, thread: Thread, signal: Signal, alert_id: UUID, again: Repeats | None) -> bool:
    """Whether a resolve knows nothing of what last made this one of several alerts burn.

    `again`: what the rows say of it; None: nothing. The first has none until a second is there, and then all that made
    the incident burn was this one.
    """
    is_first = alert_id == work.state(INCIDENT, thread.incident_id).alerts.first
    if again is None and (is_first or alert_id not in thread.firing):
        return is_overtaken(work, thread, signal)
    fired = (*_of_one(work, thread, alert_id, again), *_revived(work, thread, signal.alert.action))
    return any(one.is_behind(signal) for one in fired)


def _of_one(work: Work, thread: Thread, alert_id: UUID, again: Repeats | None) -> Iterator[_Fired]:
    if again is not None and again.last_at is not None and again.place is not None:
        yield _Fired(again.place, again.last_at)
    if again is not None and again.unplaced_at is not None:
        yield _Fired(None, again.unplaced_at)
    if alert_id in thread.firing:
        yield _Fired(thread.firing[alert_id].place, work.now)
    yield from _by_an_older_release(work, thread)


def _by_an_older_release(work: Work, thread: Thread) -> Iterator[_Fired]:
    """Of what such a one has counted nobody knows which alert it was."""
    state, again = work.state(INCIDENT, thread.incident_id), thread.again
    if again.last_at is not None and again.times > again.placed:
        yield _Fired(None, again.last_at)
    if state.told_at is not None and state.alert_count > thread.counted:
        yield _Fired(None, state.told_at)


def was_answered(work: Work, thread: Thread, signal: Signal) -> bool:
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
