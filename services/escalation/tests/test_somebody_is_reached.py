"""Where anybody has a device, a page reaches somebody at once, whatever the policy says and however reports arrive."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.examples import examples
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from libs.contracts.envelope import Envelope
from libs.contracts.escalation import EscalationDue, EscalationExhausted, Level, Target, TargetType
from libs.contracts.model import Role
from services.escalation.deciders import POLICY
from services.escalation.domain.escalations import Exhausted, Waiting
from services.escalation.domain.policies import CreatePolicy, Plan
from services.escalation.inputs import ME
from services.escalation.tests.desk import EscalationDesk, created, not_reached, said
from services.escalation.tests.world import NOW, an_id

_OURS = an_id("our policy")
_EVERYBODY = [an_id(f"person {n}") for n in range(60)]
_MOST_PAGES = 4 + 3
"""In one moment: the policy's levels, and what comes after them."""


def _a_desk(chance: Random) -> EscalationDesk:
    """Few of many have a device; a policy of some of these people, of roles and of whoever is on call."""
    desk = EscalationDesk()
    people = chance.sample(_EVERYBODY, chance.randint(1, len(_EVERYBODY)))
    desk.people = {person: frozenset(chance.sample(list(Role), chance.randint(0, 2))) for person in people}
    desk.reachable = frozenset(chance.sample(people, min(len(people), chance.randint(1, 3))))
    targets = [
        *(Target(type=TargetType.USER, id=person) for person in people[:3]),
        *(Target(type=TargetType.ROLE, role=role) for role in Role),
        Target(type=TargetType.SCHEDULE, id=DEFAULT_SCHEDULE_ID),
    ]
    wanted = [chance.sample(targets, chance.randint(1, 2)) for _ in range(chance.randint(1, 4))]
    levels = tuple(Level(timeout_minutes=5, targets=tuple(some)) for some in wanted)
    command = CreatePolicy(_OURS, Plan("Ours", (), chance.randint(0, 2), levels), "x", NOW)
    desk.desk.take(lambda work: work.decide(POLICY, _OURS, command, work.begin(ME)), NOW)
    return desk


def _paged(desk: EscalationDesk, decided: list[Envelope[Any]], chance: Random) -> list[set[UUID]]:
    """Whom each page of this moment names, while the notifier says who has no device, in any order and batches."""
    pages: list[set[UUID]] = []
    for event in decided:
        if not isinstance(due := event.data, EscalationDue | EscalationExhausted):
            continue
        pages.append({paged.user_id for paged in due.people})
        place = {"run": due.run, "round_": due.round, "level": due.level}
        reports = [said(not_reached(person, **place)) for person in sorted(pages[-1] - desk.reachable)]
        chance.shuffle(reports)
        while reports:
            count = chance.randint(1, len(reports))
            decided += desk.told(*reports[:count])
            del reports[:count]
    return pages


@settings(max_examples=examples(80), deadline=None)
@given(st.integers(0, 2**32))
def test_each_time_a_policy_pages_somebody_is_reached(seed: int) -> None:
    chance = Random(seed)
    desk = _a_desk(chance)
    decided = desk.told(said(created(policy_id=_OURS)))
    for _ in range(8):
        pages = _paged(desk, decided, chance)
        assert any(page & desk.reachable for page in pages), "silence"
        assert len(pages) <= _MOST_PAGES, "each level is paged once"
        state = desk.state()
        assert isinstance(state, Waiting | Exhausted)
        assert state.due_at is not None
        decided = desk.due(state.due_at)
