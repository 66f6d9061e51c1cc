"""Whatever happens to incidents and however it is heard of: no page twice, none after its answer, no silence."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from libs.chassis.store.work import Decider
from libs.chassis.testing.examples import examples
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.escalation import EscalationStarted
from libs.contracts.incidents import (
    AcknowledgementTimedOut,
    EscalationRequested,
    IncidentAcknowledged,
    IncidentReopened,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingRequested,
    PriorityRaised,
    RespondersAdded,
    SnoozeEnded,
    Status,
    Suppression,
    SuppressionEnded,
)
from libs.contracts.model import Lane, Priority, Role
from libs.contracts.notifier import AttemptFailed, NotificationIntended, NotificationWithdrawn
from libs.contracts.requests import Rejected
from services.escalation.deciders import ESCALATION
from services.escalation.domain import escalations
from services.escalation.projections import escalations as ESCALATIONS  # noqa: N812 - the domain has this name, too
from services.incidents.application import INCIDENT
from services.incidents.domain.commands import (
    Acknowledge,
    AddResponders,
    AskLevel,
    Change,
    Close,
    Edit,
    EndSnooze,
    LiftSuppression,
    LimitAcknowledgement,
    Reassign,
    Reopen,
    Resolve,
    Snooze,
    Suppress,
    TimeOutAcknowledgement,
)
from services.notifier.domain.bundling import WINDOW, matter_of
from services.notifier.domain.notification import BUNDLED, DEACTIVATED
from services.notifier.domain.place import place_of
from services.notifier.projections import NOTIFICATIONS
from tests.flows.flow import Flow

KEYS = ("db", "web")
CALM = ((5.0, "ana"), (5.0, "bo"))
HASTY = tuple((0.1, name) for name in ("ana", "ana", "bo", "ana", "ana"))


class Paging(RuleBasedStateMachine):
    """Alerts, people and timers act on two problems while their events travel as they like."""

    @initialize(levels=st.sampled_from([CALM, HASTY]))
    def begin(self, levels: tuple[tuple[float, str], ...]) -> None:
        self.flow = Flow(most=2)
        self.flow.person("ana")
        self.flow.person("bo")
        self.flow.person("cy", Role.ADMIN)
        self.flow.policy(*levels, repeat=1)
        self.incidents: dict[UUID, None] = {}
        self.gone: set[str] = set()

    # --- What happens ------------------------------------------------------------------------------------------------

    @rule(key=st.sampled_from(KEYS), priority=st.sampled_from(["low", "medium", "high", "critical"]))
    def alert(self, key: str, priority: str) -> None:
        self.incidents[self.flow.fire(key, priority, dedupKey=key)] = None

    def _ask(self, data: st.DataObject, command: Change) -> None:
        incident = data.draw(st.sampled_from(list(self.incidents)))
        try:
            self.flow.ask(incident, command)
        except Rejected:
            return

    def _somebody(self, data: st.DataObject) -> Actor:
        return Actor.user(self.flow.people[data.draw(st.sampled_from(["ana", "bo"]))])

    @precondition(lambda self: self.incidents)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        self._ask(data, Acknowledge(self._somebody(data), self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), kind=st.sampled_from([Resolve, Close, Reopen]))
    def end_or_reopen(self, data: st.DataObject, kind: type[Resolve | Close | Reopen]) -> None:
        self._ask(data, kind(self._somebody(data), self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), title=st.sampled_from(["as it was", "as it is"]), priority=st.sampled_from(Priority))
    def edit(self, data: st.DataObject, title: str, priority: Priority) -> None:
        self._ask(data, Edit(title, None, {}, priority, self._somebody(data), self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data())
    def snooze(self, data: st.DataObject) -> None:
        self._ask(data, Snooze(self._somebody(data), self.flow.now, self.flow.now + timedelta(hours=1)))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data())
    def suppress(self, data: st.DataObject) -> None:
        by = self._somebody(data)
        until = self.flow.now + timedelta(minutes=data.draw(st.sampled_from([5, 90])))
        self._ask(data, Suppress(Suppression(by=by.id, until=until), by, self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), to=st.sampled_from(["ana", "bo", "cy"]))
    def reassign(self, data: st.DataObject, to: str) -> None:
        self._ask(data, Reassign(self.flow.people[to], self._somebody(data), self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), level=st.sampled_from([None, 1, 2, 20]))
    def escalate(self, data: st.DataObject, level: int | None) -> None:
        self._ask(data, AskLevel(level, self._somebody(data), self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), names=st.sets(st.sampled_from(["ana", "bo", "cy"]), min_size=1))
    def ask_for_help(self, data: st.DataObject, names: set[str]) -> None:
        people = tuple(self.flow.people[name] for name in sorted(names))
        self._ask(data, AddResponders(people, self._somebody(data), self.flow.now))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data(), minutes=st.sampled_from([0.1, 45]), quiet=st.sampled_from([None, 20]))
    def an_acknowledgement_is_limited(self, data: st.DataObject, minutes: float, quiet: float | None) -> None:
        incident = data.draw(st.sampled_from(list(self.incidents)))
        run = self.flow.incident(incident).run
        ends = timedelta(minutes=quiet) if quiet is not None else None
        self.flow.ask(incident, LimitAcknowledgement(run, timedelta(minutes=minutes), self.flow.now, ends))

    @precondition(lambda self: self.incidents)
    @rule(data=st.data())
    def a_time_is_over(self, data: st.DataObject) -> None:
        incident = data.draw(st.sampled_from(list(self.incidents)))
        state = self.flow.incident(incident)
        commands: list[Change] = [LiftSuppression(self.flow.now)]
        if state.acknowledged_until is not None:
            commands.append(TimeOutAcknowledgement(state.acknowledged_until, self.flow.now))
        if state.snoozed_until is not None:
            commands.append(EndSnooze(state.snoozed_until, self.flow.now))
        self.flow.ask(incident, data.draw(st.sampled_from(commands)))

    @rule(name=st.sampled_from(["ana", "bo"]))
    def somebody_leaves_or_comes_back(self, name: str) -> None:
        if name in self.gone:
            self.flow.reactivate(name)
        else:
            self.flow.deactivate(name)
        self.gone ^= {name}

    # --- How it is heard of ------------------------------------------------------------------------------------------

    @precondition(lambda self: self.flow.waiting())
    @rule(data=st.data(), count=st.integers(1, 4))
    def deliver(self, data: st.DataObject, count: int) -> None:
        for _ in range(count):
            if waiting := self.flow.waiting():
                self.flow.deliver(data.draw(st.sampled_from(waiting)))

    @precondition(lambda self: self.flow.waiting())
    @rule(data=st.data())
    def deliver_twice(self, data: st.DataObject) -> None:
        """A parked event is tried again after later ones; a commit whose reply was lost is tried again at once."""
        pipe = data.draw(st.sampled_from(self.flow.waiting()))
        event = self.flow.pipes[pipe][0]
        self.flow.deliver(pipe)
        # Later events of one person wait behind one that is parked.
        latest = 0 if pipe[0] == "auth" else len(self.flow.pipes[pipe])
        self.flow.pipes[pipe].insert(data.draw(st.integers(0, latest)), event)

    @rule(minutes=st.sampled_from([0.1, 1, 5, 31]))
    def time_passes(self, minutes: float) -> None:
        """Timers fire, and not everything that was said has been heard."""
        self.flow.now += timedelta(minutes=minutes)
        self.flow.fire_timers()

    @rule(steps=st.integers(1, 8))
    def a_while_in_which_all_is_heard_at_once(self, steps: int) -> None:
        for _ in range(steps):
            self.time_passes(0.1)
            self.flow.settle()

    @rule(accepted=st.booleans())
    def vendors_answer(self, accepted: bool) -> None:
        self.flow.send(accepted=accepted)

    @rule()
    def everything_is_heard_of(self) -> None:
        self.flow.settle()
        for incident in self.incidents:
            self._is_not_silent(incident)
            self._rings_for_nothing(incident)
        self._nobody_waits_for_whoever_is_gone()

    # --- What is never so --------------------------------------------------------------------------------------------

    @invariant()
    def no_page_is_made_twice(self) -> None:
        facts = [event.data for event in self.flow.history]
        # Whoever was deactivated before theirs was sent gets it when they are back.
        left_out = {
            fact.notification_id
            for fact in facts
            if isinstance(fact, NotificationWithdrawn) and fact.reason == DEACTIVATED
        }
        pages = Counter(
            (fact.incident_id, fact.run, fact.round, fact.level, fact.user_id)
            for fact in facts
            if isinstance(fact, NotificationIntended) and fact.notification_id not in left_out
        )
        assert all(count == 1 for count in pages.values()), pages

    @invariant()
    def nobody_is_paged_about_an_incident_more_often_than_the_rate(self) -> None:
        """Nor about what comes of its dedup key again; first pages of runs wait for first pages alone."""
        pages: dict[UUID, NotificationIntended] = {}
        as_first: set[tuple[tuple[UUID, UUID], datetime]] = set()
        for fact in (event.data for event in self.flow.history if event.service == "notifier"):
            if isinstance(fact, NotificationWithdrawn) or (isinstance(fact, AttemptFailed) and fact.retry_at is None):
                pages.pop(fact.notification_id, None)
            if isinstance(fact, NotificationIntended):
                own = [page for page in pages.values() if _whose(page) == _whose(fact)]
                # What waits of an earlier incident of the key is withdrawn by its answer, which may be heard of later.
                rang = [page for page in pages.values() if _matter(page) == _matter(fact) and _begins(page) <= fact.at]
                same = own + [page for page in rang if _whose(page) != _whose(fact)]
                is_first = all(page.run != fact.run for page in own)
                if is_first:
                    as_first.add((_whose(fact), _begins(fact)))
                if (_whose(fact), _begins(fact)) in as_first:  # also what has taken over the time of one
                    same = _firsts(same)
                beside = [page for page in same if abs(_begins(page) - _begins(fact)) < WINDOW]
                assert len(beside) < self.flow.most, (fact, beside)
                if is_first and len(_firsts(rang)) < self.flow.most:
                    assert fact.not_before is None, fact
                pages[fact.notification_id] = fact

    @invariant()
    def what_speaks_for_a_page_is_newer_and_comes_no_later(self) -> None:
        pages: dict[UUID, NotificationIntended] = {}
        silenced: dict[tuple[UUID, UUID], NotificationIntended] = {}
        for fact in (event.data for event in self.flow.history if event.service == "notifier"):
            if isinstance(fact, NotificationIntended):
                pages[fact.notification_id] = fact
                assert _begins(fact) <= fact.at + WINDOW
                if (page := silenced.pop(_whose(fact), None)) is not None:
                    assert place_of(fact) > place_of(page)
                    assert _begins(fact) <= _begins(page)
                    assert fact.further > page.further
            elif isinstance(fact, NotificationWithdrawn) and fact.reason == BUNDLED:
                page = pages[fact.notification_id]
                assert silenced.setdefault(_whose(page), page) is page
        assert not silenced

    @invariant()
    def no_page_waits_whose_answer_was_heard(self) -> None:
        answers = self.flow.notifier_inputs.answers
        for row in self._waiting_pages():
            answered = answers.get(row["incident_id"])
            assert answered is None or answered.run < row["run"], row

    @invariant()
    def what_was_overtaken_makes_no_page(self) -> None:
        places: dict[UUID, list[tuple[int, int, int]]] = {}
        for event in self.flow.history:
            if isinstance(fact := event.data, NotificationIntended):
                places.setdefault(fact.incident_id, []).append((fact.run, fact.round, fact.level))
        assert all(made == sorted(made) for made in places.values()), places

    @invariant()
    def whatever_needs_people_again_asks_for_them_at_once(self) -> None:
        ours = [e for e in self.flow.history if e.service == "incidents"]
        quiet: set[UUID] = set()
        for event, following in zip_longest(ours, ours[1:]):
            match event.data:
                case IncidentSuppressed(incident_id=incident):
                    quiet.add(incident)
                case SuppressionEnded(incident_id=incident):
                    quiet.discard(incident)
                case PagingRequested(incident_id=incident, start=start) if not (start and start.alone):
                    quiet.discard(incident)
                case RespondersAdded() | EscalationRequested() | IncidentReopened():
                    self._is_asked_for(event, following)
                case PriorityRaised() | SnoozeEnded() | AcknowledgementTimedOut() if event.entity not in quiet:
                    self._is_asked_for(event, following)

    def _is_asked_for(self, event: Envelope[Any], following: Envelope[Any] | None) -> None:
        assert following is not None
        assert isinstance(following.data, PagingRequested)
        assert following.entity == event.entity

    @invariant()
    def runs_start_once_and_in_order(self) -> None:
        started: dict[UUID, list[int]] = {}
        for event in self.flow.history:
            if isinstance(event.data, EscalationStarted):
                started.setdefault(event.data.incident_id, []).append(event.data.run)
        assert all(runs == sorted(set(runs)) for runs in started.values()), started

    @invariant()
    def a_state_that_is_kept_is_the_state_that_was_folded(self) -> None:
        for incident in self.incidents:
            self._kept(INCIDENT, "incidents", incident)
            self._kept(ESCALATION[Lane.ROUTINE], "escalation", escalations.escalation_id(incident))

    def _kept(self, decider: Decider[Any, Any], service: str, entity: UUID) -> None:
        state = self._state(decider, service, entity)
        assert decider.shape is not None
        assert decider.shape.read(decider.shape.write(state)) == state

    def _state(self, decider: Decider[Any, Any], service: str, entity: UUID) -> Any:
        states: list[Any] = []
        self.flow.desks[service].take(lambda work: states.append(work.state(decider, entity)), self.flow.now)
        return states[0]

    def _waiting_pages(self) -> list[dict[str, Any]]:
        return [row for row in self.flow.desks["notifier"].rows(NOTIFICATIONS) if row["state"] == "intended"]

    def _rings_for_nothing(self, incident: UUID) -> None:
        """When all is heard of, nothing waits to be sent for what somebody has taken or what is over."""
        state = self.flow.incident(incident)
        if state.status in (Status.ACKNOWLEDGED, Status.RESOLVED, Status.CLOSED) or state.snoozed_until is not None:
            facts = [event.data for event in self.flow.history]
            answers = [f for f in facts if isinstance(f, IncidentAcknowledged | IncidentSnoozed)]
            answered = max(f.run for f in answers if f.incident_id == incident) if state.is_open else state.run
            ours = [row for row in self._waiting_pages() if row["incident_id"] == incident]
            # Who was asked for help since is still to be told.
            assert not [row for row in ours if row["run"] <= answered]

    def _nobody_waits_for_whoever_is_gone(self) -> None:
        """When all is heard of, nothing is to be sent to them, and no open page is theirs alone."""
        gone = {self.flow.people[name] for name in self.gone}
        assert not [row for row in self._waiting_pages() if row["user_id"] in gone]
        for incident in self.incidents:
            state = self._state(ESCALATION[Lane.ROUTINE], "escalation", escalations.escalation_id(incident))
            if isinstance(state, escalations.Waiting | escalations.Exhausted) and state.due_at is not None:
                left = {p.user_id for p in state.people} - gone
                assert left, state

    def _is_not_silent(self, incident: UUID) -> None:
        """What is open and unanswered has been paged in its present run, and has a time at which it goes on."""
        state = self.flow.incident(incident)
        quiet = state.snoozed_until is not None or state.suppressed
        if state.status not in (Status.CREATED, Status.ESCALATED) or quiet:
            return
        named = [
            e
            for e in self.flow.history
            if getattr(e.data, "incident_id", None) == incident and getattr(e.data, "run", 0) == state.run
        ]
        assert any(e.name in ("NotificationIntended", "PersonUnreachable") for e in named), state
        row = self.flow.desks["escalation"].tables[ESCALATIONS][escalations.escalation_id(incident)]
        assert (row["run"], row["next_due_at"] is not None) == (state.run, True), row


def _whose(page: NotificationIntended) -> tuple[UUID, UUID]:
    return page.incident_id, page.user_id


def _matter(page: NotificationIntended) -> tuple[UUID, UUID]:
    return matter_of(page.brief), page.user_id


def _firsts(pages: list[NotificationIntended]) -> list[NotificationIntended]:
    """The one of each run that began first."""
    firsts: dict[tuple[UUID, int], NotificationIntended] = {}
    for page in sorted(pages, key=_begins, reverse=True):
        firsts[page.incident_id, page.run] = page
    return list(firsts.values())


def _begins(page: NotificationIntended) -> datetime:
    return page.not_before or page.at


TestPaging = Paging.TestCase
TestPaging.settings = settings(
    max_examples=examples(120), stateful_step_count=40, suppress_health_check=list(HealthCheck), derandomize=True
)
