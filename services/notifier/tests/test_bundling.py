"""Past a rate the newest page about an incident speaks for those before it, and never keeps a person in the dark."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest

from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Priority
from libs.contracts.notifier import (
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationState,
    NotificationWithdrawn,
)
from services.notifier.domain.bundling import MOST, WINDOW, Told, bundle
from services.notifier.domain.notification import BUNDLED
from services.notifier.domain.place import LOWEST, Place
from services.notifier.results import page_of
from services.notifier.tests.fakes import Bench
from services.notifier.tests.flows import Flow, accepted, answer, device, due, failed
from services.notifier.tests.notifications import INCIDENT, NINE

ANA = UUID(int=3)
OTHER = IncidentBrief(incident_id=UUID(int=9), number=9, title="web down", priority=Priority.CRITICAL)


def begins(page: NotificationIntended) -> datetime:
    return page.not_before or page.at


def bundled(flow: Flow) -> set[UUID]:
    facts = [event.data for event in flow.events]
    return {f.notification_id for f in facts if isinstance(f, NotificationWithdrawn) and f.reason == BUNDLED}


def rung(flow: Flow) -> list[NotificationIntended]:
    """Every page that was or will be sent."""
    gone = bundled(flow)
    return [page for page in flow.pages if page.notification_id not in gone]


def at(flow: Flow, seconds: float) -> Flow:
    flow.now = NINE + timedelta(seconds=seconds)
    return flow


def hastily(flow: Flow, levels: int, seconds: float = 3, run: int = 1) -> None:
    """A level every few seconds."""
    for level in range(1, levels + 1):
        flow.page(due(run, 1, level))
        flow.now += timedelta(seconds=seconds)


def test_twenty_hasty_levels_ring_a_few_times_a_minute_and_the_last_one_tells_of_all() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 20)
    pages = rung(flow)
    assert [page.level for page in pages] == [1, 2, 3, 4, 5, 6, 20]
    assert begins(pages[-1]) == NINE + WINDOW
    assert pages[-1].further == 13
    assert len(bundled(flow)) == 13


@pytest.mark.thorough
def test_hours_of_hasty_levels_never_ring_more_often_and_never_leave_a_minute_out() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 1200)
    moments = [begins(page) for page in rung(flow)]
    assert all(later - first >= WINDOW for first, later in zip(moments, moments[MOST:], strict=False))
    gaps = [later - first for first, later in pairwise(moments)]
    assert max(gaps) <= WINDOW
    assert sum(page.further + 1 for page in rung(flow)) == 1200, "each page is told of once"


def test_levels_in_one_batch_are_bundled_as_well() -> None:
    flow = Flow()
    flow.register(device())
    flow.page(*(due(1, 1, level) for level in range(1, 21)))
    assert [page.level for page in rung(flow)] == [1, 2, 3, 4, 5, 6, 20]


def test_two_phones_are_one_person() -> None:
    flow = Flow()
    flow.register(device("phone"), device("tablet"))
    hastily(flow, 7)
    assert [page.level for page in rung(flow)] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert {page.not_before for page in rung(flow)[-2:]} == {NINE + WINDOW}


def test_other_incidents_and_other_people_do_not_wait() -> None:
    flow = Flow()
    flow.register(device(), device("hers", user=ANA))
    hastily(flow, 7)
    event = due(1, 1, 1, brief=OTHER)
    flow.page(event.model_copy(update={"data": event.data.model_copy(update={"incident_id": OTHER.incident_id})}))
    flow.page(due(1, 1, 8, people=(ANA,)))
    assert [page.not_before for page in flow.pages[-2:]] == [None, None]


def test_the_first_page_of_another_run_rings_at_once_and_replaces_what_waited() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 8)
    waiting = flow.pages[-1].notification_id
    flow.page(due(2, 1, 1))
    page = flow.pages[-1]
    assert (page.run, page.not_before, page.further) == (2, None, 2)
    assert waiting in bundled(flow)
    flow.page(due(2, 1, 2))
    assert flow.pages[-1].not_before is not None


def test_what_never_reached_a_phone_is_not_counted() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 6)
    flow.record(*(failed(page) for page in flow.pages))
    flow.page(due(1, 1, 7))
    assert flow.pages[-1].not_before is None


def test_after_an_answer_what_waits_is_never_sent_and_nothing_speaks_for_it() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 8)
    waiting = flow.pages[-1].notification_id
    (withdrawn,) = [f for f in flow.answer(answer()) if getattr(f, "notification_id", None) == waiting]
    assert isinstance(withdrawn, NotificationWithdrawn)
    assert withdrawn.reason == "acknowledged"
    # A level that was decided before the answer, and is heard of after it.
    assert [type(fact) for fact in flow.page(due(1, 1, 9))] == [NotificationIntended, NotificationWithdrawn]
    assert flow.pages[-1].further == 0


def test_a_level_that_is_heard_of_again_changes_nothing() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 8)
    assert flow.page(due(1, 1, 8)) == []


def test_without_a_phone_nothing_is_taken_for_spoken_for() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 8)
    before = bundled(flow)
    flow.inputs.devices.clear()
    flow.page(due(1, 1, 9))
    assert bundled(flow) == before
    assert flow.unreachable


def test_a_phone_that_showed_a_bundled_page_all_the_same_shows_the_answer() -> None:
    """It was under way for a process whose clock was ahead."""
    flow = Flow()
    flow.register(device())
    hastily(flow, 8)
    (seventh,) = [page for page in flow.pages if page.level == 7]
    facts = flow.record(accepted(seventh))
    assert not any(isinstance(fact, NotificationReplaced) for fact in facts)
    assert flow.inputs.notifications[INCIDENT][seventh.notification_id].stage is NotificationState.ACCEPTED
    replaced = [fact for fact in flow.answer(answer()) if isinstance(fact, NotificationReplaced)]
    assert [fact.notification_id for fact in replaced] == [seventh.notification_id]


@pytest.mark.parametrize(("further", "body"), [(0, "no answer"), (1, "1 further page. no answer"), (13, "13 further")])
def test_a_page_says_for_how_many_it_speaks(further: int, body: str) -> None:
    flow, bench = Flow(), Bench()
    flow.register(device())
    flow.page(due())
    intent = flow.pages[-1].model_copy(update={"further": further})
    bench.outbox.facts[intent.notification_id] = [intent]
    row = bench.outbox._rows()[0]._replace(description="no answer")
    assert page_of(row, "https://pager.example").body.startswith(body)
    silent = row._replace(kind=NotificationKind.ACKNOWLEDGED)
    assert page_of(silent, "https://pager.example").body == "no answer"


def test_one_a_minute_still_rings_every_minute() -> None:
    told: list[Told] = []
    rang = [NINE]
    told.append(Told(UUID(int=1), INCIDENT, LOWEST, NINE))
    for n in range(1, 100):
        now, place = NINE + timedelta(seconds=5 * n), Place(1, n, 2)
        made = bundle(told, INCIDENT, place, now, most=1)
        told = [one for one in told if one.notification_id not in made.replaced]
        told.append(Told(UUID(int=n + 1), INCIDENT, place, made.not_before or now, made.further))
        rang = sorted({one.begins_at for one in told})
    assert {later - first for first, later in pairwise(rang)} == {WINDOW}


THREAD = UUID(int=77)


def flaps(flow: Flow, times: int, seconds: float, *, levels: int = 1, resolved: bool = True) -> None:
    """Fire, resolve, fire …: each time another incident of one key, whose first one nobody has counted."""
    for n in range(1, times + 1):
        incident = UUID(int=1000 + n)
        brief = OTHER.model_copy(update={"incident_id": incident, "number": n, "thread": THREAD if n > 1 else None})
        for level in range(1, levels + 1):
            event = due(1, 1, level, brief=brief)
            flow.page(event.model_copy(update={"data": event.data.model_copy(update={"incident_id": incident})}))
            flow.now += timedelta(seconds=seconds / levels)
        rings = [page for page in rung(flow) if begins(page) <= flow.now and page.incident_id == incident]
        flow.record(*(accepted(page) for page in rings))
        if resolved:
            event = answer("resolved")
            flow.answer(event.model_copy(update={"data": event.data.model_copy(update={"incident_id": incident})}))


def heard(flow: Flow) -> list[datetime]:
    """When the phone rang: a page that was withdrawn in time does not."""
    gone = {fact.notification_id for e in flow.events if isinstance(fact := e.data, NotificationWithdrawn)}
    return [begins(page) for page in flow.pages if page.notification_id not in gone]


@pytest.mark.parametrize("levels", [1, 3])
def test_a_sender_that_fires_and_resolves_in_turn_rings_no_more_often_than_others(levels: int) -> None:
    flow = Flow()
    flow.register(device())
    flaps(flow, 120, seconds=1.1, levels=levels)
    moments = heard(flow)
    for first in moments:
        assert len([m for m in moments if first <= m < first + WINDOW]) <= 2 * MOST + 1
    assert max(later - first for first, later in pairwise(moments)) <= WINDOW + timedelta(seconds=2)


def test_what_waits_of_such_a_sender_rings_within_the_window_if_it_goes_on() -> None:
    flow = Flow()
    flow.register(device())
    flaps(flow, 7, seconds=2)
    assert all(page.not_before is None for page in flow.pages)
    flow.now = NINE + timedelta(seconds=20)
    flaps_on = OTHER.model_copy(update={"incident_id": UUID(int=5000), "thread": THREAD})
    event = due(brief=flaps_on)
    flow.page(event.model_copy(update={"data": event.data.model_copy(update={"incident_id": UUID(int=5000)})}))
    page = flow.pages[-1]
    # The first incident of a key has no thread yet and is not counted; the second began 2 s later.
    assert begins(page) == NINE + timedelta(seconds=2) + WINDOW
    assert page.expires_at >= begins(page) + timedelta(minutes=1)
    flow.now += timedelta(seconds=3)
    event = due(1, 1, 2, brief=flaps_on)
    flow.page(event.model_copy(update={"data": event.data.model_copy(update={"incident_id": UUID(int=5000)})}))
    assert (begins(flow.pages[-1]), flow.pages[-1].further) == (begins(page), 1), "newer, and no later"


def test_runs_that_follow_one_another_as_fast_wait_as_well() -> None:
    flow = Flow()
    flow.register(device())
    for run in range(1, 20):
        flow.page(due(run, 1, 1))
        flow.answer(answer(run=run))
        flow.now += timedelta(seconds=1)
        flow.record(*(accepted(page) for page in flow.pages[-1:] if page.not_before is None))
    assert [page.run for page in flow.pages if page.not_before is None] == [1, 2, 3, 4, 5, 6]
    at(flow, 60)
    flow.page(due(20, 1, 1))
    assert flow.pages[-1].not_before is None, "the first ones are a minute old"


def test_a_phone_that_registers_while_a_bundle_waits_waits_with_it() -> None:
    flow = Flow()
    flow.register(device())
    hastily(flow, 8)
    waiting = flow.pages[-1]
    (page,) = flow.register(device("late", at=flow.now))
    assert isinstance(page, NotificationIntended)
    assert (page.level, page.not_before, page.further) == (8, waiting.not_before, waiting.further)
    at(flow, 300)
    flow.record(failed(waiting))
    assert [getattr(f, "not_before", 0) for f in flow.register(device("later", at=flow.now))] == [None]
