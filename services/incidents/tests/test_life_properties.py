"""An incident's life against a model of ten lines: whatever happens in whatever order, it is never silent while it
needs people, and never pages anybody while it does not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.chassis.testing.examples import examples
from libs.contracts.envelope import Actor, ActorKind, Fact
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingRequested,
    Suppression,
)
from libs.contracts.model import Priority
from services.incidents.application import INCIDENT
from services.incidents.domain import commands
from services.incidents.domain.transitions import Illegal, Phase, phase_of

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
ID = UUID(int=1)
PEOPLE = [Actor.user(uuid4()) for _ in range(3)]
SENDER = Actor(kind=ActorKind.INTEGRATION, id="i")
_LONG, _SOON = timedelta(hours=1), timedelta(minutes=10)


@dataclass
class Model:
    """`over`, `held`, `snoozed` and `suppressed`: the model. It needs people when it is none of these."""

    over: bool = False
    held: bool = False
    snoozed: bool = False
    suppressed: bool = False

    def page(self) -> None:
        self.over = self.held = self.snoozed = self.suppressed = False

    @property
    def needs_people(self) -> bool:
        return not (self.over or self.held or self.snoozed or self.suppressed)


class Life(RuleBasedStateMachine):
    @initialize(suppressed=st.booleans())
    def open(self, suppressed: bool) -> None:
        self.now, self.model = START, Model(suppressed=suppressed)
        self.worst, self.facts = Priority.LOW, list[Fact]()
        self.state = INCIDENT.initial()
        fact = IncidentCreated(
            incident_id=ID,
            number=1,
            title="db",
            priority=Priority.LOW,
            source="db",
            created_by=SENDER,
            created_at=self.now,
            suppressed=suppressed,
            suppression=Suppression(by="a window", until=self.now + _LONG) if suppressed else None,
        )
        self.do(commands.OpenIncident(fact))

    def do(self, command: commands.Command) -> bool:
        """Whether it was allowed."""
        try:
            facts = INCIDENT.decide(command, self.state)
        except Illegal:
            return False
        for fact in facts:
            self.state = INCIDENT.evolve(self.state, fact)
        self.facts += facts
        again = self.state
        for fact in INCIDENT.decide(command, self.state) if not isinstance(command, _REPEATABLE) else ():
            again = INCIDENT.evolve(again, fact)
        assert phase_of(again) is phase_of(self.state), "what comes twice leads nowhere else"
        return True

    @rule(by=st.sampled_from(PEOPLE), minutes=st.sampled_from([0, 5, 30]), quiet=st.sampled_from([None, _SOON]))
    def acknowledge(self, by: Actor, minutes: int, quiet: timedelta | None) -> None:
        allowed = self.do(commands.Acknowledge(by, self.now, resolves_at=self.now + _LONG))
        assert allowed is not self.model.over
        if allowed:
            self.model.held, self.model.snoozed = True, False
            if minutes:
                self.do(commands.LimitAcknowledgement(self.state.run, timedelta(minutes=minutes), self.now, quiet))

    @rule(by=st.sampled_from(PEOPLE))
    def resolve(self, by: Actor) -> None:
        assert self.do(commands.Resolve(by, self.now))
        self.model = Model(over=True)

    @rule(by=st.sampled_from(PEOPLE))
    def close(self, by: Actor) -> None:
        assert self.do(commands.Close(by, self.now)) is self.model.over

    @rule(by=st.sampled_from(PEOPLE))
    def reopen(self, by: Actor) -> None:
        assert self.do(commands.Reopen(by, self.now))
        if self.model.over:
            self.model.page()

    @rule(by=st.sampled_from(PEOPLE), until=st.sampled_from([_SOON, _LONG]))
    def snooze(self, by: Actor, until: timedelta) -> None:
        assert self.do(commands.Snooze(by, self.now, self.now + until)) is not self.model.over
        self.model.snoozed = not self.model.over

    @rule(by=st.sampled_from(PEOPLE), until=st.sampled_from([_SOON, _LONG]))
    def suppress(self, by: Actor, until: timedelta) -> None:
        if self.do(commands.Suppress(Suppression(by=by.id, until=self.now + until), by, self.now)):
            assert not self.model.over
            assert self.model.suppressed or not (self.model.held or self.model.snoozed)
            self.model.suppressed = True

    @rule(by=st.sampled_from(PEOPLE), to=st.sampled_from(PEOPLE))
    def reassign(self, by: Actor, to: Actor) -> None:
        already = self.state.assigned_to == UUID(to.id) and self.model.held
        allowed = self.do(commands.Reassign(UUID(to.id), by, self.now))
        assert allowed is not self.model.over
        if allowed and by != to and not already and not self.model.suppressed:
            self.model.page()

    @rule(by=st.sampled_from(PEOPLE), level=st.sampled_from([None, 1, 2]))
    def escalate(self, by: Actor, level: int | None) -> None:
        allowed = self.do(commands.AskLevel(level, by, self.now))
        assert allowed is not self.model.over
        if allowed:
            self.model.page()

    @rule(by=st.sampled_from(PEOPLE), whom=st.sampled_from(PEOPLE))
    def ask_for_help(self, by: Actor, whom: Actor) -> None:
        assert self.do(commands.AddResponders((UUID(whom.id),), by, self.now)) is not self.model.over

    @rule(by=st.sampled_from(PEOPLE))
    def note(self, by: Actor) -> None:
        assert self.do(commands.AddNote(uuid4(), "the disk", by, self.now))

    @rule(priority=st.sampled_from(Priority))
    def an_alert_is_worse(self, priority: Priority) -> None:
        worse = priority.is_worse_than(self.state.worst)
        self.do(commands.Raise(priority, SENDER, self.now))
        if worse and not self.model.over and not self.model.suppressed:
            self.model.page()

    @rule(level=st.integers(1, 3), late=st.booleans())
    def a_level_fires(self, level: int, late: bool) -> None:
        run = max(self.state.run - late, 1)
        self.do(commands.Escalate(run, level, 1, (UUID(PEOPLE[0].id),), None))

    @rule(minutes=st.sampled_from([1, 10, 60]))
    def time_passes(self, minutes: int) -> None:
        """Whoever waits for a moment is told of it, and of moments that have been overtaken as well."""
        self.now += timedelta(minutes=minutes)
        state, model = self.state, self.model
        if state.acknowledged_until is not None and state.acknowledged_until <= self.now:
            self.do(commands.TimeOutAcknowledgement(state.acknowledged_until, self.now))
            if model.held and not model.snoozed:
                model.held = False
        if state.snoozed_until is not None and state.snoozed_until <= self.now:
            self.do(commands.EndSnooze(state.snoozed_until, self.now))
            if model.snoozed:
                model.held, model.snoozed = model.held and model.suppressed, False
        end = state.suppression.until if state.suppression is not None else None
        if end is not None and end <= self.now:
            self.do(commands.LiftSuppression(self.now, end))
            model.suppressed = False
        if state.resolves_at is not None and state.resolves_at <= self.now:
            self.do(commands.ResolveQuiet(SENDER, self.now, "quiet"))
            if model.held and not model.snoozed:
                self.model = Model(over=True)

    @invariant()
    def it_is_paged_for_when_it_needs_people_and_only_then(self) -> None:
        asked = stopped = 0
        for fact in self.facts:
            match fact:
                case IncidentCreated(suppressed=False):
                    asked = 1
                case PagingRequested(run=run, start=start) if not (start and (start.alone or start.goes_on)):
                    asked = run
                case IncidentAcknowledged() | IncidentResolved() | IncidentClosed():
                    stopped = fact.run
                case IncidentSnoozed() | IncidentSuppressed():
                    stopped = fact.run
        assert (asked > stopped) is self.model.needs_people, (phase_of(self.state), self.model, self.facts)

    @invariant()
    def it_shows_what_keeps_it_quiet(self) -> None:
        state = self.state
        quiet = (not state.is_open, state.snoozed_until is not None, state.is_open and state.suppressed)
        assert quiet == (self.model.over, self.model.snoozed, self.model.suppressed)
        assert (phase_of(state) in (Phase.CREATED, Phase.ESCALATED)) is self.model.needs_people

    @invariant()
    def runs_are_numbered_by_requests_one_by_one(self) -> None:
        runs = [fact.run for fact in self.facts if isinstance(fact, PagingRequested)]
        first = 1 if self.facts and isinstance(self.facts[0], IncidentCreated) and self.facts[0].suppressed else 2
        assert runs == list(range(first, first + len(runs)))


_REPEATABLE = commands.AskLevel | commands.AddResponders | commands.AddNote
"""What is asked for twice is asked for twice; its door knows an Idempotency-Key."""
TestLife = pytest.mark.thorough(Life.TestCase)
TestLife.settings = settings(max_examples=examples(1500), stateful_step_count=30, derandomize=True)
