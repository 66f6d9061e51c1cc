"""The notifier's shell: what each input means for devices, notifications, people and tokens, in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

from libs.chassis.store.person_keys import forget_erased
from libs.chassis.store.work import Cause, Decided, Decider, Work
from libs.contracts.auth import DeviceRegistered, UserDeactivated
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Lane, Priority
from libs.contracts.notifier import Method, NotificationState, ReceiptState, is_test
from libs.contracts.requests import NotFound
from libs.contracts.slots import NO_INCIDENT
from services.notifier.domain import bundling, decisions, notification, person, token
from services.notifier.domain.bundling import Bundle, Told, bundle, matter_of
from services.notifier.domain.decisions import LONGEST_LIFE
from services.notifier.domain.ids import notification_id, token_id, unreachable_id
from services.notifier.domain.notification import (
    DEACTIVATED,
    BundleNotification,
    ExpireNotification,
    IntendNotification,
    LeaveOut,
    RecordAccepted,
    RecordFailure,
    RecordReceipt,
    Stop,
    StopNotification,
)
from services.notifier.domain.person import ReportUnreachable
from services.notifier.domain.place import LOWEST, place_of
from services.notifier.domain.token import RetireToken
from services.notifier.inputs import Heard, Inputs, OpenPage, StoredInputs
from services.notifier.projections import provider_of
from services.notifier.replicas import (
    ACTIVE_FACTS,
    DEVICE_FACTS,
    Answer,
    Due,
    person_change,
    place_change,
    responder_changes,
    stop_change,
    stop_of,
)

ACTOR = Actor.service("notifier")
NO_DEVICE = "no device"
TEST_TITLE = "This is a test"
TEST_TEXT = "You asked for it: pages reach this device. There is no incident."
TEST_LIFE = timedelta(minutes=5)
_GIVEN_UP = (NotificationState.FAILED, NotificationState.WITHDRAWN)

NOTIFICATION: Decider[notification.State, notification.Command] = Decider(
    notification.initial,
    notification.evolve,
    decisions.decide,
    lane=lambda state: state.intent.lane if state else Lane.ROUTINE,
    team=lambda state: state.intent.brief.team_id if state else None,
    # What came of sending it will be recorded soon.
    keep=lambda state: state is not None and state.sending is not None,
)
TOKEN: Decider[token.State, RetireToken] = Decider(
    token.initial,
    token.evolve,
    token.decide,
    slot=lambda _: NO_INCIDENT,  # it is the device's matter, whatever page found it out
)
_PERSON: Decider[person.State, ReportUnreachable] = Decider(person.initial, person.evolve, person.decide)
# Said in the lane of the event that wanted the person.
PERSON: Mapping[Lane, Decider[person.State, ReportUnreachable]] = {
    Lane.URGENT: replace(_PERSON, lane=lambda _: Lane.URGENT),
    Lane.ROUTINE: _PERSON,
}


class Sent(NamedTuple):
    """One attempt's end, to be recorded; `cause` is the chain of events that the notification belongs to."""

    notification_id: UUID
    command: RecordAccepted | RecordFailure | ExpireNotification
    cause: Cause


class _Report(NamedTuple):
    """That somebody cannot be reached, in the lane of the page that wanted them."""

    lane: Lane
    command: ReportUnreachable
    cause: Cause


def follow_people(work: Work, events: Sequence[Envelope[Any]], inputs: Inputs | None = None) -> None:
    """Keep the replicas of push devices and of who is deactivated.

    Whoever is has nothing sent any more. Whoever comes back, or registers a device, while a page of theirs is open is
    paged there too.
    """
    forget_erased(work, events)
    for event in events:
        work.put(*person_change(event))
    standing = {e.data.user_id: e for e in events if isinstance(e.data, ACTIVE_FACTS)}
    gone = {user: event for user, event in standing.items() if isinstance(event.data, UserDeactivated)}
    back = {user: event for user, event in standing.items() if user not in gone}
    last = {(e.data.user_id, e.data.device_id): e for e in events if isinstance(e.data, DEVICE_FACTS)}
    added = [e for e in last.values() if isinstance(e.data, DeviceRegistered)]
    if not added and not standing:
        return
    inputs = inputs or StoredInputs(work)
    inputs.take_turns(Lane)
    _leave_out(work, gone, inputs)
    methods = inputs.methods_of(back, back) if back else {}
    to_page = [(back[user], user, method) for user, theirs in methods.items() for method in theirs]
    left_out = {*gone, *inputs.inactive({event.data.user_id for event in added} - back.keys())}
    to_page += [(e, e.data.user_id, _method_of(e.data)) for e in added if e.data.user_id not in left_out]
    waiting = inputs.open_pages({user for _, user, _ in to_page}) if to_page else {}
    work.load(NOTIFICATION, [page.like for pages in waiting.values() for page in pages if page.like is not None])
    for event, user, method in to_page:
        for page in waiting.get(user, ()):
            _page_on(work, event, user, method, page)


def _leave_out(work: Work, gone: Mapping[UUID, Envelope[Any]], inputs: Inputs) -> None:
    """Withdraw what is not sent to these people; where nothing else was to tell them, they are named unreachable."""
    pending = inputs.pending(gone)
    work.load(NOTIFICATION, [one for ids in pending.values() for one in ids])
    decided: dict[UUID, Decided] = {}
    for user, ids in pending.items():
        for one in ids:
            if work.decide(NOTIFICATION, one, LeaveOut(work.now), Cause.event(gone[user], ACTOR)):
                decided[one] = work.decided[-1]
    _report_lost(work, decided, inputs)


def _method_of(device: DeviceRegistered) -> Method:
    return Method(id=device.device_id, kind=provider_of(device.platform))


def _page_on(work: Work, event: Envelope[Any], user: UUID, method: Method, page: OpenPage) -> None:
    like = work.state(NOTIFICATION, page.like) if page.like is not None else None
    brief = like.intent.brief if like is not None else page.brief
    if brief is None or (like is None and _is_old(brief, work.now)):
        return
    # Where the same device has failed before, it is the next step of this person's rule, under an id of its own.
    for step in count(1):
        one = notification_id(brief.incident_id, page.place, user, method, step)
        known = work.state(NOTIFICATION, one)
        if known is None or not known.given_up:
            break
    command = IntendNotification(
        notification_id=one,
        user_id=user,
        method=method,
        place=page.place,
        lane=page.lane,
        brief=brief,
        decided_at=like.intent.decided_at if like is not None else work.now,
        next_due_at=like.intent.expires_at if like is not None else None,
        stop=None,
        now=work.now,
        step=step,
        not_before=like.intent.not_before if like is not None else None,
        further=like.intent.further if like is not None else 0,
    )
    work.decide(NOTIFICATION, one, command, Cause.event(event, ACTOR))


def _is_old(brief: IncidentBrief, now: datetime) -> bool:
    """What nobody could be told this long ago is no page any more: whoever starts the app months later sees a list."""
    return brief.paging_since is not None and now - brief.paging_since > LONGEST_LIFE


def page_people(
    work: Work, events: Sequence[Envelope[Due]], inputs: Inputs | None = None, most: int = bundling.MOST
) -> None:
    """An intent for each person and method of each due level; a person without a method is named unreachable.

    Of whom more than `most` pages of one matter would begin within a minute, the newest waits for those before it.
    """
    inputs = inputs or StoredInputs(work)
    inputs.take_turns(event.lane for event in events)
    heard = inputs.heard_of({event.data.incident_id for event in events})
    wanted = [
        (event, user)
        for event in _without_overtaken(events, heard)
        for user in dict.fromkeys(paged.user_id for paged in event.data.people)
    ]
    methods = inputs.methods_of({user for _, user in wanted})
    stops = {incident: known.stop for incident, known in heard.items()}
    pages = list(_pages(work, [(e, user) for e, user in wanted if user in methods], methods, stops, inputs, most))
    replaced = [one for _, _, bundled in pages for one in bundled.replaced]
    work.expect_new(NOTIFICATION, [page.notification_id for page, _, _ in pages])
    work.load(NOTIFICATION, replaced)
    for page, event, bundled in pages:
        cause = Cause.event(event, ACTOR)
        for one in bundled.replaced:
            work.decide(NOTIFICATION, one, BundleNotification(work.now), cause)
        work.decide(NOTIFICATION, page.notification_id, page, cause)
    unreached = [(event, user) for event, user in wanted if user not in methods]
    left_out = inputs.inactive({user for _, user in unreached})
    reasons = {user: DEACTIVATED if user in left_out else NO_DEVICE for _, user in unreached}
    _report(work, [_no_way(event, user, reasons[user], work.now) for event, user in unreached])
    for event in events:
        work.put(*place_change(event), *responder_changes(event))


def _pages(
    work: Work,
    wanted: Sequence[tuple[Envelope[Due], UUID]],
    methods: Mapping[UUID, Sequence[Method]],
    stops: Mapping[UUID, Stop | None],
    inputs: Inputs,
    most: int,
) -> Iterator[tuple[IntendNotification, Envelope[Due], Bundle]]:
    """Each of one person and method, with what it replaces; a bundle takes all that was told before, also just now."""
    # Of most incidents nothing was told before their first page, and nothing has to be looked up.
    paged_before = {
        matter_of(event.data.brief)
        for event, _ in wanted
        if place_of(event.data) > LOWEST or event.data.brief.thread is not None
    }
    known = inputs.told(paged_before, work.now - bundling.REMEMBERED) if paged_before else {}
    told = {key: list(ones) for key, ones in known.items()}
    for event, user in wanted:
        due, place = event.data, place_of(event.data)
        stop = stops.get(due.incident_id)
        is_answered = stop is not None and stop.covers(due.run)
        before = told.setdefault((matter_of(due.brief), user), [])
        bundled = Bundle() if is_answered else bundle(before, due.incident_id, place, work.now, most)
        for method in methods[user]:
            page = _intention(event, user, method, stop, work.now, bundled)
            yield page, event, bundled
            if not is_answered:
                begins_at = bundled.not_before or work.now
                before.append(Told(page.notification_id, due.incident_id, place, begins_at, bundled.further))
        before[:] = [one for one in before if one.notification_id not in bundled.replaced]


def stop_incidents(work: Work, events: Sequence[Envelope[Answer]], inputs: Inputs | None = None) -> None:
    """Withdraw what is not sent, replace what phones show, and remember the stop for a due that comes later."""
    inputs = inputs or StoredInputs(work)
    inputs.take_turns(lane for event in events for lane in _lanes_of(event))
    concerned = inputs.stoppable({event.data.incident_id for event in events})
    work.load(NOTIFICATION, [i for ids in concerned.values() for i in ids])
    for event in events:
        stop = StopNotification(stop_of(event.data), work.now)
        for one in concerned.get(event.data.incident_id, ()):
            work.decide(NOTIFICATION, one, stop, Cause.event(event, ACTOR))
        work.put(*stop_change(event), *responder_changes(event))


def record(work: Work, results: Sequence[Sent], inputs: Inputs | None = None) -> None:
    """Write down what became of attempts, whatever has happened to their notifications meanwhile.

    A person whose last method at a place has failed with them is named unreachable.
    """
    work.load(NOTIFICATION, [r.notification_id for r in results])
    decided: dict[UUID, Decided] = {}
    for result in results:
        if work.decide(NOTIFICATION, result.notification_id, result.command, result.cause):
            decided[result.notification_id] = work.decided[-1]
    _report_lost(work, decided, inputs or StoredInputs(work))


def _report_lost(work: Work, decided: Mapping[UUID, Decided], inputs: Inputs) -> None:
    """Name whom none of their methods at a place has reached, after what was decided of some of these."""
    failed = {one: last for one, last in decided.items() if last.state.given_up and not is_test(last.state.intent)}
    if not failed:
        return
    stages = {one: last.state.stage for one, last in decided.items()}
    told = inputs.beside(failed)
    now = {one: {i: stages.get(i, stage) for i, stage in beside.items()} for one, beside in told.items()}
    # Of several that fail together the last one's reason is named.
    lost = [one for one in reversed(failed) if one in now and all(s in _GIVEN_UP for s in now[one].values())]
    _report(work, [_no_method_left(failed[one], work.now) for one in lost])


def retire(work: Work, dead: Sequence[tuple[RetireToken, Cause]]) -> None:
    """Page these tokens no more, until they are registered anew."""
    work.load(TOKEN, [token_id(d.user_id, d.device_id) for d, _ in dead])
    for command, cause in dead:
        work.decide(TOKEN, token_id(command.user_id, command.device_id), command, cause)


def receive(work: Work, one: UUID, person: UUID | None, said: tuple[ReceiptState, datetime], cause: Cause) -> None:
    """A phone of `person` says what has become of a page of theirs; twice is once.

    Raises:
        NotFound: it is no page of theirs.
    """
    known = work.state(NOTIFICATION, one)
    if known is None or known.intent.user_id != person:
        raise NotFound("there is no such notification of yours").hides()
    state, at = said
    work.decide(NOTIFICATION, one, RecordReceipt(state, at, work.now), cause)


def send_test(work: Work, person: UUID, method: Method, cause: Cause) -> notification.Notification:
    """A page about nothing to one of a person's devices, on the way of every page."""
    one = work.new_id()
    page = IntendNotification(
        notification_id=one,
        user_id=person,
        method=method,
        place=LOWEST,
        lane=Lane.ROUTINE,  # beside an incident's it can wait
        brief=IncidentBrief(
            incident_id=one, number=0, title=TEST_TITLE, description=TEST_TEXT, priority=Priority.CRITICAL
        ),
        decided_at=work.now,
        next_due_at=work.now + TEST_LIFE,
        stop=None,
        now=work.now,
    )
    work.decide(NOTIFICATION, one, page, cause)
    begun: notification.Notification = work.decided[-1].state
    return begun


def _lanes_of(answer: Envelope[Answer]) -> tuple[Lane, ...]:
    """The lanes in which a page may be decided right now that an answer stops.

    Side by side neither would see what the other is about to commit, and a page could stay on a phone unreplaced. An
    incident that was raised has moved to the urgent lane and has a further run; pages of its first may be in the other.
    """
    raised = answer.lane is Lane.URGENT and answer.data.run > LOWEST.run
    return tuple(Lane) if raised else (answer.lane,)


def _without_overtaken(events: Sequence[Envelope[Due]], heard: Mapping[UUID, Heard]) -> Iterator[Envelope[Due]]:
    """A raised incident changes lanes and parked events are tried again: an earlier page may be heard of later."""
    places = {incident: known.place for incident, known in heard.items()}
    for event in events:
        place = place_of(event.data)
        if place >= places.get(event.data.incident_id, LOWEST):
            places[event.data.incident_id] = place
            yield event


def _intention(
    event: Envelope[Due], user: UUID, method: Method, stop: Stop | None, now: datetime, bundled: Bundle
) -> IntendNotification:
    due = event.data
    place = place_of(due)
    return IntendNotification(
        notification_id=notification_id(due.incident_id, place, user, method),
        user_id=user,
        method=method,
        place=place,
        lane=event.lane,
        brief=due.brief,
        decided_at=event.time,
        next_due_at=due.next_due_at,
        stop=stop,
        now=now,
        not_before=bundled.not_before,
        further=bundled.further,
    )


def _no_way(event: Envelope[Due], user: UUID, reason: str, now: datetime) -> _Report:
    command = ReportUnreachable(event.data.incident_id, user, place_of(event.data), reason, now, event.data.brief)
    return _Report(event.lane, command, Cause.event(event, ACTOR))


def _no_method_left(last: Decided, now: datetime) -> _Report:
    intent = last.state.intent
    why = last.event.data.reason
    reason = DEACTIVATED if why == DEACTIVATED else f"every method failed: {why}"
    command = ReportUnreachable(intent.incident_id, intent.user_id, place_of(intent), reason, now, intent.brief)
    return _Report(intent.lane, command, Cause.event(last.event, ACTOR))


def _report(work: Work, reports: Sequence[_Report]) -> None:
    entities = [unreachable_id(r.command.incident_id, r.command.place, r.command.user_id) for r in reports]
    work.expect_new(_PERSON, entities)
    for entity, report in zip(entities, reports, strict=True):
        work.decide(PERSON[report.lane], entity, report.command, report.cause)
