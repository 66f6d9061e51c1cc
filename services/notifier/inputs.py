"""What the notifier's decisions need to know beside the notifications themselves: from the tables, or given by hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from libs.chassis.store.personal import stored_form
from libs.chassis.store.work import Work
from libs.contracts.auth import DeviceRegistered, DeviceRemoved, UserDeactivated, UserReactivated
from libs.contracts.envelope import Envelope
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Lane
from libs.contracts.notifier import (
    AttemptFailed,
    Method,
    MethodKind,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationState,
    NotificationWithdrawn,
    PersonUnreachable,
    PushTokenRetired,
    ReceiptRecorded,
    is_test,
)
from services.notifier.domain.bundling import Told, matter_of, told_of
from services.notifier.domain.notification import Notification, Stop, evolve
from services.notifier.domain.place import LOWEST, Place, place_of
from services.notifier.projections import provider_of
from services.notifier.queries import (
    BESIDE,
    DEVICES_OF,
    HEARD_OF,
    INACTIVE_OF,
    PENDING,
    STOPPABLE,
    STOPPABLE_STATES,
    TAKEN_STATES,
    TOLD,
    UNSENT,
    UNTOLD,
)
from services.notifier.replicas import ANSWERS, DUES, stop_of


class Heard(NamedTuple):
    """Of an incident's paging: the last answer, and the highest place."""

    stop: Stop | None = None
    place: Place = LOWEST


class OpenPage(NamedTuple):
    """At the present place of an incident's paging, somebody who may not know of it yet.

    `like` is a notification of theirs that is still to be sent; without one they were unreachable, and `brief` is what
    they were to be told.
    """

    user_id: UUID
    place: Place
    lane: Lane
    like: UUID | None = None
    brief: IncidentBrief | None = None


class Inputs(Protocol):
    """As it was committed before the decisions that ask."""

    def take_turns(self, lanes: Iterable[Lane]) -> None:
        """Let answers and pages of these lanes be handled one after the other from here to the commit."""
        ...

    def methods_of(self, people: Collection[UUID], back: Collection[UUID] = ()) -> Mapping[UUID, Sequence[Method]]:
        """How each of these people can be reached; whoever cannot, or is deactivated, is not in it.

        `back`: who is being reactivated, which is not committed yet.
        """
        ...

    def inactive(self, people: Collection[UUID]) -> Collection[UUID]:
        """Who of these people is deactivated."""
        ...

    def pending(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        """By person, the pages that are still to be sent."""
        ...

    def heard_of(self, incidents: Collection[UUID]) -> Mapping[UUID, Heard]:
        """What was heard of these incidents; of whom nothing was, or the lowest place alone, need not be in it."""
        ...

    def told(self, matters: Collection[UUID], since: datetime) -> Mapping[tuple[UUID, UUID], Sequence[Told]]:
        """By matter and person, what was intended after `since` and neither withdrawn nor given up."""

    def stoppable(self, incidents: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        """By incident, the notifications that an answer may concern."""
        ...

    def beside(self, notifications: Collection[UUID]) -> Mapping[UUID, Mapping[UUID, NotificationState]]:
        """By notification, all that were to tell its person at its place of its incident's paging, itself included.

        Those whose run was answered are not in it.
        """
        ...

    def open_pages(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[OpenPage]]:
        """By person, what no vendor has taken for them at the present places of incidents that nobody has answered."""
        ...


@dataclass(frozen=True, slots=True)
class StoredInputs:
    """From the tables, in the transaction of the decisions."""

    work: Work

    def take_turns(self, lanes: Iterable[Lane]) -> None:
        for lane in sorted(set(lanes)):  # in one order, so that nobody waits for somebody who waits for them
            self.work.lock(f"pager/notifier/turn/{lane}")

    def methods_of(self, people: Collection[UUID], back: Collection[UUID] = ()) -> Mapping[UUID, Sequence[Method]]:
        return _methods(
            (row["user_id"], Method(id=row["device_id"], kind=MethodKind(row["kind"])), row["token"])
            for row in self.work.fetch(DEVICES_OF, ids=list(people), back=list(back))
        )

    def inactive(self, people: Collection[UUID]) -> Collection[UUID]:
        return {row["user_id"] for row in self.work.fetch(INACTIVE_OF, ids=list(people))} if people else set()

    def pending(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        for row in self.work.fetch(PENDING, ids=list(people)) if people else ():
            found.setdefault(row["user_id"], []).append(row["id"])
        return found

    def heard_of(self, incidents: Collection[UUID]) -> Mapping[UUID, Heard]:
        return {
            row["incident_id"]: Heard(
                None if row["answered_run"] is None else Stop(row["reason"], row["answered_run"]),
                LOWEST if row["run"] is None else Place(row["run"], row["round"], row["level"]),
            )
            for row in self.work.fetch(HEARD_OF, ids=list(incidents))
        }

    def told(self, matters: Collection[UUID], since: datetime) -> Mapping[tuple[UUID, UUID], Sequence[Told]]:
        found: dict[tuple[UUID, UUID], list[Told]] = {}
        for row in self.work.fetch(TOLD, ids=list(matters), since=since):
            one = Told(row["id"], row["incident_id"], _place(row), row["begins_at"], row["further"])
            found.setdefault((row["matter"], row["user_id"]), []).append(one)
        return found

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

    def open_pages(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[OpenPage]]:
        found: dict[UUID, list[OpenPage]] = {}
        for row in self.work.fetch(UNSENT, ids=list(people)):
            page = OpenPage(row["user_id"], _place(row), Lane(row["lane"]), like=row["id"])
            found.setdefault(page.user_id, []).append(page)
        for row in self.work.fetch(UNTOLD, ids=list(people)):
            brief = IncidentBrief.model_validate(row["brief"])
            page = OpenPage(row["user_id"], _place(row), Lane(row["lane"]), brief=brief)
            found.setdefault(page.user_id, []).append(page)
        return found


def _place(row: Mapping[str, Any]) -> Place:
    return Place(row["run"], row["round"], row["level"])


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
    gone: set[UUID] = field(default_factory=set)
    """Who is deactivated."""
    retired: dict[tuple[UUID, str], datetime] = field(default_factory=dict)
    answers: dict[UUID, _Answered] = field(default_factory=dict)
    places: dict[UUID, Place] = field(default_factory=dict)
    notifications: dict[UUID, dict[UUID, Notification]] = field(default_factory=dict)
    """By incident."""
    unreachable: dict[tuple[UUID, UUID], OpenPage] = field(default_factory=dict)
    """By person and incident."""
    _incident: dict[UUID, UUID] = field(default_factory=dict)
    """Of a notification."""
    _incidents: dict[UUID, set[UUID]] = field(default_factory=dict)
    """Of a matter."""

    def apply(self, event: Envelope[Any]) -> None:
        """Learn from an event of an upstream, or of the notifier itself."""
        fact = event.data
        match fact:
            case DeviceRegistered():
                self.devices.setdefault(fact.user_id, {})[fact.device_id] = fact
            case DeviceRemoved():
                self.devices.get(fact.user_id, {}).pop(fact.device_id, None)
            case UserDeactivated():
                self.gone.add(fact.user_id)
            case UserReactivated():
                self.gone.discard(fact.user_id)
            case PushTokenRetired():
                self.retired[fact.user_id, fact.device_id] = fact.at
            case PersonUnreachable():
                place = Place(fact.run, fact.round, fact.level)
                page = OpenPage(fact.user_id, place, event.lane, brief=fact.brief)
                known = self.unreachable.get((fact.user_id, fact.incident_id))
                if known is None or known.place <= place:
                    self.unreachable[fact.user_id, fact.incident_id] = page
            case _ if isinstance(fact, ANSWERS):
                stop = stop_of(fact)
                answered = _Answered(stop.run, event.time, stop.reason)
                self.answers[fact.incident_id] = max(answered, self.answers.get(fact.incident_id, answered))
            case _ if isinstance(fact, DUES):
                self.places[fact.incident_id] = max(place_of(fact), self.places.get(fact.incident_id, LOWEST))
            case NotificationIntended():
                self._incident[fact.notification_id] = fact.incident_id
                self._incidents.setdefault(matter_of(fact.brief), set()).add(fact.incident_id)
                self._evolve(fact)
            case (
                NotificationAccepted()
                | AttemptFailed()
                | NotificationReplaced()
                | NotificationWithdrawn()
                | ReceiptRecorded()
            ):
                self._evolve(fact)

    def _evolve(self, fact: Any) -> None:
        known = self.notifications.setdefault(fact.incident_id, {})
        state = evolve(known.get(fact.notification_id), fact)
        if state is not None:
            known[fact.notification_id] = state

    def take_turns(self, lanes: Iterable[Lane]) -> None:
        """Nobody else is here."""

    def methods_of(self, people: Collection[UUID], back: Collection[UUID] = ()) -> Mapping[UUID, Sequence[Method]]:
        people = [one for one in people if one not in self.gone or one in back]
        living = [d for one in people for d in self.devices.get(one, {}).values() if self._lives(d)]
        living.sort(key=lambda d: d.device_id)
        living.sort(key=lambda d: d.registered_at, reverse=True)
        return _methods(
            (d.user_id, Method(id=d.device_id, kind=provider_of(d.platform)), stored_form(d.push_token)) for d in living
        )

    def inactive(self, people: Collection[UUID]) -> Collection[UUID]:
        return self.gone & set(people)

    def pending(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        for one, state in (pair for known in self.notifications.values() for pair in known.items()):
            if state.intent.user_id in people and state.is_sending(NotificationKind.PAGE):
                found.setdefault(state.intent.user_id, []).append(one)
        return found

    def _lives(self, device: DeviceRegistered) -> bool:
        dead_at = self.retired.get((device.user_id, device.device_id))
        return dead_at is None or dead_at <= device.registered_at

    def heard_of(self, incidents: Collection[UUID]) -> Mapping[UUID, Heard]:
        return {one: Heard(self._stop(one), self.places.get(one, LOWEST)) for one in incidents}

    def _stop(self, incident: UUID) -> Stop | None:
        answer = self.answers.get(incident)
        return None if answer is None else Stop(answer.reason, answer.run)

    def told(self, matters: Collection[UUID], since: datetime) -> Mapping[tuple[UUID, UUID], Sequence[Told]]:
        found: dict[tuple[UUID, UUID], list[Told]] = {}
        incidents = ((matter, incident) for matter in matters for incident in self._incidents.get(matter, ()))
        for matter, state in ((matter, s) for matter, one in incidents for s in self.notifications[one].values()):
            if state.intent.at > since and state.stage in STOPPABLE_STATES:
                found.setdefault((matter, state.intent.user_id), []).append(told_of(state.intent))
        return found

    def stoppable(self, incidents: Collection[UUID]) -> Mapping[UUID, Sequence[UUID]]:
        return {
            incident: [
                i for i, state in self.notifications.get(incident, {}).items() if state.stage in STOPPABLE_STATES
            ]
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

    def open_pages(self, people: Collection[UUID]) -> Mapping[UUID, Sequence[OpenPage]]:
        found: dict[UUID, list[OpenPage]] = {}
        for incident, known in self.notifications.items():
            for one, state in known.items():
                intent = state.intent
                page = OpenPage(intent.user_id, place_of(intent), intent.lane, like=one)
                if state.is_sending(NotificationKind.PAGE) and self._is_open(incident, page) and not is_test(intent):
                    found.setdefault(page.user_id, []).append(page)
        for (user, incident), page in self.unreachable.items():
            if page.brief is not None and self._is_open(incident, page):
                found.setdefault(user, []).append(page)
        return {user: pages for user, pages in found.items() if user in people}

    def _is_open(self, incident: UUID, page: OpenPage) -> bool:
        stop, known = self._stop(incident), self.notifications.get(incident, {}).values()
        if (stop is not None and stop.covers(page.place.run)) or page.place < self.places.get(incident, LOWEST):
            return False
        same = (s for s in known if (s.intent.user_id, place_of(s.intent)) == (page.user_id, page.place))
        return not any(state.stage in TAKEN_STATES for state in same)


def _methods(devices: Iterable[tuple[UUID, Method, str]]) -> dict[UUID, list[Method]]:
    """By person, newest first; a token that is registered twice counts once, for its newest device."""
    found: dict[UUID, list[Method]] = {}
    seen: set[tuple[UUID, str]] = set()
    for user, method, token in devices:
        # The same token of one person is sealed in the same box, which in small letters is no other's either.
        # Apple's are hexadecimal: however the letters of one in the clear are written, it is one.
        same = token.lower() if method.kind is MethodKind.APNS else token
        if (user, same) not in seen:
            seen.add((user, same))
            found.setdefault(user, []).append(method)
    return found
