"""What the notifier's decisions need to know beside the notifications themselves: from the tables, or given by hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, Uuid, any_, bindparam, column, func, or_, select

from libs.chassis.store.log import advisory_key
from libs.chassis.store.work import Work
from libs.contracts.auth import DeviceRegistered, DeviceRemoved
from libs.contracts.envelope import Envelope
from libs.contracts.model import Lane
from libs.contracts.notifier import (
    AttemptFailed,
    Method,
    MethodKind,
    NotificationAccepted,
    NotificationIntended,
    NotificationReplaced,
    NotificationState,
    NotificationWithdrawn,
    PushTokenRetired,
)
from services.notifier.domain.notification import Notification, Stop, evolve
from services.notifier.domain.place import LOWEST, Place, place_of
from services.notifier.projections import (
    ALIVE,
    DEVICES,
    NOTIFICATIONS,
    PAGING,
    RETIRED_TOKENS,
    SAME_DEVICE,
    STOPPED,
    ids_parameter,
    provider_of,
)
from services.notifier.replicas import ANSWERS, DUES, stop_of


class Heard(NamedTuple):
    """Of an incident's paging: the last answer, and the highest place."""

    stop: Stop | None = None
    place: Place = LOWEST


class Inputs(Protocol):
    """As it was committed before the decisions that ask."""

    def take_turns(self, lanes: Iterable[Lane]) -> None:
        """Let answers and pages of these lanes be handled one after the other from here to the commit."""
        ...

    def methods_of(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[Method]]:
        """How each of these people can be reached; whoever cannot is not in it."""
        ...

    def heard_of(self, incidents: Collection[UUID]) -> Mapping[UUID, Heard]:
        """What was heard of these incidents; of whom nothing was, or the lowest place alone, need not be in it."""
        ...

    def stoppable(self, incidents: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        """By incident, the notifications that an answer may concern."""
        ...

    def beside(self, notifications: Collection[UUID]) -> Mapping[UUID, Mapping[UUID, NotificationState]]:
        """By notification, all that were to tell its person at its place of its incident's paging, itself included.

        Those whose run was answered are not in it.
        """
        ...


_TURN = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))

DEVICES_OF = (
    select(DEVICES.c.user_id, DEVICES.c.device_id, DEVICES.c.kind, DEVICES.c.push_token)
    .select_from(DEVICES.outerjoin(RETIRED_TOKENS, SAME_DEVICE))
    .where(DEVICES.c.user_id == any_(ids_parameter()), ALIVE)
    .order_by(DEVICES.c.user_id, DEVICES.c.registered_at.desc(), DEVICES.c.device_id)
)
"""Living devices of the people `ids`, the newest of each first."""

_ASKED = func.unnest(ids_parameter()).table_valued(column("id", Uuid)).render_derived("asked")
HEARD_OF = (
    select(
        _ASKED.c.id.label("incident_id"),
        STOPPED.c.reason,
        STOPPED.c.run.label("answered_run"),
        PAGING.c.run,
        PAGING.c.round,
        PAGING.c.level,
    )
    .select_from(
        _ASKED.outerjoin(STOPPED, STOPPED.c.incident_id == _ASKED.c.id).outerjoin(
            PAGING, PAGING.c.incident_id == _ASKED.c.id
        )
    )
    .where(or_(STOPPED.c.incident_id.is_not(None), PAGING.c.incident_id.is_not(None)))
)
"""The last answer and the highest place of each of the incidents `ids` that has either."""

_STOPPABLE = frozenset({NotificationState.INTENDED, NotificationState.ACCEPTED, NotificationState.REPLACED})
STOPPABLE = select(NOTIFICATIONS.c.id, NOTIFICATIONS.c.incident_id).where(
    NOTIFICATIONS.c.incident_id == any_(ids_parameter()),
    or_(*(NOTIFICATIONS.c.state == str(state) for state in sorted(_STOPPABLE))),
)

_ONE = NOTIFICATIONS.alias("one")
_SAME_PLACE = ("incident_id", "user_id", "run", "round", "level")
BESIDE = (
    select(_ONE.c.id.label("one"), NOTIFICATIONS.c.id, NOTIFICATIONS.c.state)
    .select_from(_ONE)
    .where(
        _ONE.c.id == any_(ids_parameter()),
        *(_ONE.c[name] == NOTIFICATIONS.c[name] for name in _SAME_PLACE),
        ~select(STOPPED).where(STOPPED.c.incident_id == _ONE.c.incident_id, STOPPED.c.run >= _ONE.c.run).exists(),
    )
)


@dataclass(frozen=True, slots=True)
class StoredInputs:
    """From the tables, in the transaction of the decisions."""

    work: Work

    def take_turns(self, lanes: Iterable[Lane]) -> None:
        for lane in sorted(set(lanes)):  # in one order, so that nobody waits for somebody who waits for them
            self.work.fetch(_TURN, key=advisory_key(f"pager/notifier/turn/{lane}"))

    def methods_of(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[Method]]:
        return _methods(
            (row["user_id"], Method(id=row["device_id"], kind=MethodKind(row["kind"])), row["push_token"])
            for row in self.work.fetch(DEVICES_OF, ids=list(people))
        )

    def heard_of(self, incidents: Collection[UUID]) -> Mapping[UUID, Heard]:
        return {
            row["incident_id"]: Heard(
                None if row["answered_run"] is None else Stop(row["reason"], row["answered_run"]),
                LOWEST if row["run"] is None else Place(row["run"], row["round"], row["level"]),
            )
            for row in self.work.fetch(HEARD_OF, ids=list(incidents))
        }

    def stoppable(self, incidents: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        for row in self.work.fetch(STOPPABLE, ids=list(incidents)):
            found.setdefault(row["incident_id"], []).append(row["id"])
        return found

    def beside(self, notifications: Collection[UUID]) -> Mapping[UUID, Mapping[UUID, NotificationState]]:
        found: dict[UUID, dict[UUID, NotificationState]] = {}
        for row in self.work.fetch(BESIDE, ids=list(notifications)):
            found.setdefault(row["one"], {})[row["id"]] = NotificationState(row["state"])
        return found


class _Answered(NamedTuple):
    """Ordered as the tables order answers."""

    run: int
    at: datetime
    reason: str


@dataclass(slots=True)
class MemoryInputs:
    """In memory, from every event that was applied: for tests and simulations, where nobody else decides."""

    devices: dict[UUID, dict[str, DeviceRegistered]] = field(default_factory=dict)
    """By person and name."""
    retired: dict[tuple[UUID, str], datetime] = field(default_factory=dict)
    answers: dict[UUID, _Answered] = field(default_factory=dict)
    places: dict[UUID, Place] = field(default_factory=dict)
    notifications: dict[UUID, dict[UUID, Notification]] = field(default_factory=dict)
    """By incident."""
    _incident: dict[UUID, UUID] = field(default_factory=dict)
    """Of a notification."""

    def apply(self, event: Envelope[Any]) -> None:
        """Learn from an event of an upstream, or of the notifier itself."""
        fact = event.data
        match fact:
            case DeviceRegistered():
                self.devices.setdefault(fact.user_id, {})[fact.device_id] = fact
            case DeviceRemoved():
                self.devices.get(fact.user_id, {}).pop(fact.device_id, None)
            case PushTokenRetired():
                self.retired[fact.user_id, fact.device_id] = fact.at
            case _ if isinstance(fact, ANSWERS):
                stop = stop_of(fact)
                answered = _Answered(stop.run, event.time, stop.reason)
                self.answers[fact.incident_id] = max(answered, self.answers.get(fact.incident_id, answered))
            case _ if isinstance(fact, DUES):
                self.places[fact.incident_id] = max(place_of(fact), self.places.get(fact.incident_id, LOWEST))
            case NotificationIntended():
                self._incident[fact.notification_id] = fact.incident_id
                self._evolve(fact)
            case NotificationAccepted() | AttemptFailed() | NotificationReplaced() | NotificationWithdrawn():
                self._evolve(fact)

    def _evolve(self, fact: Any) -> None:
        known = self.notifications.setdefault(fact.incident_id, {})
        state = evolve(known.get(fact.notification_id), fact)
        if state is not None:
            known[fact.notification_id] = state

    def take_turns(self, lanes: Iterable[Lane]) -> None:
        """Nobody else is here."""

    def methods_of(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[Method]]:
        living = [d for one in people for d in self.devices.get(one, {}).values() if self._lives(d)]
        living.sort(key=lambda d: d.registered_at, reverse=True)
        return _methods((d.user_id, Method(id=d.device_id, kind=provider_of(d.platform)), d.push_token) for d in living)

    def _lives(self, device: DeviceRegistered) -> bool:
        dead_at = self.retired.get((device.user_id, device.device_id))
        return dead_at is None or dead_at <= device.registered_at

    def heard_of(self, incidents: Collection[UUID]) -> Mapping[UUID, Heard]:
        return {one: Heard(self._stop(one), self.places.get(one, LOWEST)) for one in incidents}

    def _stop(self, incident: UUID) -> Stop | None:
        answer = self.answers.get(incident)
        return None if answer is None else Stop(answer.reason, answer.run)

    def stoppable(self, incidents: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        return {
            incident: [i for i, state in self.notifications.get(incident, {}).items() if state.stage in _STOPPABLE]
            for incident in incidents
        }

    def beside(self, notifications: Collection[UUID]) -> Mapping[UUID, Mapping[UUID, NotificationState]]:
        found: dict[UUID, dict[UUID, NotificationState]] = {}
        for one in notifications:
            known = self.notifications[self._incident[one]]
            intent = known[one].intent
            stop = self._stop(intent.incident_id)
            if stop is None or not stop.covers(intent.run):
                wanted = (intent.user_id, place_of(intent))
                same = {i: s for i, s in known.items() if (s.intent.user_id, place_of(s.intent)) == wanted}
                found[one] = {i: state.stage for i, state in same.items()}
        return found


def _methods(devices: Iterable[tuple[UUID, Method, str]]) -> dict[UUID, list[Method]]:
    """By person, newest first; a token that is registered twice counts once, for its newest device."""
    found: dict[UUID, list[Method]] = {}
    seen: set[tuple[UUID, str]] = set()
    for user, method, token in devices:
        if (user, token) not in seen:
            seen.add((user, token))
            found.setdefault(user, []).append(method)
    return found
