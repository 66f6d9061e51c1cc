"""One notification: every row of its decision table, its back-off, and what must hold whatever the order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.testing.given import Given
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationState,
    NotificationWithdrawn,
)
from services.notifier.application import NOTIFICATION
from services.notifier.domain.decisions import retry_pause
from services.notifier.domain.notification import ExpireNotification, Notification, Stop
from services.notifier.domain.place import Place
from services.notifier.tests.notifications import INTEND, NINE, accepted, after, failed, stop

AGAIN = replace(INTEND, place=Place(2, 1, 1))
"""The first page of the second run."""
REASONS = ["acknowledged", "snoozed", "resolved", "closed"]


def history(*commands: Any) -> Given[Any]:
    """What holds after these commands."""
    now = Given(NOTIFICATION, [])
    for command in commands:
        now = Given(NOTIFICATION, [*now.facts, *now.when(command).facts])
    return now


def final(*commands: Any) -> Notification:
    state = history(*commands).state()
    assert isinstance(state, Notification)
    return state


def test_an_intention_is_sent_at_once_until_the_next_level_is_due() -> None:
    (fact,) = history().when(INTEND).facts
    assert isinstance(fact, NotificationIntended)
    assert fact.expires_at == INTEND.next_due_at
    sending = final(INTEND).sending
    assert sending is not None
    assert (sending.kind, sending.due_at) == (NotificationKind.PAGE, NINE)


@pytest.mark.parametrize(
    ("next_due", "expected"),
    [
        (None, timedelta(hours=1)),
        (timedelta(seconds=3), timedelta(minutes=1)),
        (timedelta(hours=-1), timedelta(minutes=1)),
        (timedelta(days=3), timedelta(hours=24)),
    ],
)
def test_a_page_lives_at_least_a_minute_and_at_most_a_day(next_due: timedelta | None, expected: timedelta) -> None:
    due = None if next_due is None else NINE + next_due
    (fact,) = history().when(replace(INTEND, next_due_at=due)).facts
    assert isinstance(fact, NotificationIntended)
    assert fact.expires_at == NINE + expected


def test_intending_again_does_nothing() -> None:
    history(INTEND).when(INTEND).then_nothing()
    history(INTEND, accepted()).when(INTEND).then_nothing()


def test_an_unsent_page_is_withdrawn_when_somebody_acknowledges() -> None:
    (fact,) = history(INTEND).when(stop()).facts
    assert isinstance(fact, NotificationWithdrawn)
    assert fact.reason == "acknowledged"
    assert final(INTEND, stop()).sending is None


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("acknowledged", "acknowledged"),
        ("snoozed", "acknowledged"),
        ("resolved", "resolved"),
        ("closed", "resolved"),
    ],
)
def test_a_shown_page_is_replaced_silently(reason: str, kind: str) -> None:
    (fact,) = history(INTEND, accepted()).when(stop(reason)).facts
    assert isinstance(fact, NotificationReplaced)
    assert fact.kind == kind
    sending = final(INTEND, accepted(), stop(reason)).sending
    assert sending is not None
    assert sending.kind == kind


def test_a_resolution_replaces_an_acknowledgement_and_nothing_replaces_a_resolution() -> None:
    shown = history(INTEND, accepted(), stop(), accepted(2, "acknowledged", 11))
    shown.when(stop("acknowledged", 20)).then_nothing()
    shown.when(stop("snoozed", 20)).then_nothing()
    resolved = shown.when(stop("resolved", 20)).then_types(NotificationReplaced)
    resolved.when(stop("closed", 30)).then_nothing()


def test_an_answer_of_an_earlier_run_does_not_stop_a_later_runs_page() -> None:
    history(AGAIN).when(stop(run=1)).then_nothing()
    history(AGAIN, accepted()).when(stop(run=1)).then_nothing()
    history().when(replace(AGAIN, stop=Stop("acknowledged", 1))).then_types(NotificationIntended)


@pytest.mark.parametrize("at", [-60, 0, 60])
def test_an_answer_stops_every_run_up_to_its_own_whenever_it_was_given(at: float) -> None:
    history(INTEND).when(stop(run=2, at=at)).then_types(NotificationWithdrawn)
    history(AGAIN).when(stop(run=2, at=at)).then_types(NotificationWithdrawn)
    history(AGAIN, accepted()).when(stop(run=3, at=at)).then_types(NotificationReplaced)


def test_an_answer_to_an_incident_that_never_paged_stops_no_page() -> None:
    history(INTEND).when(stop(run=0)).then_nothing()


def test_a_page_that_is_accepted_after_its_withdrawal_is_replaced() -> None:
    state = history(INTEND, stop()).when(accepted()).then_types(NotificationAccepted, NotificationReplaced)
    assert state.state().shown is NotificationKind.ACKNOWLEDGED


def test_an_acknowledgement_that_is_accepted_late_does_not_end_the_resolution() -> None:
    state = final(INTEND, accepted(), stop(), stop("resolved", 20), accepted(2, "acknowledged", 21))
    assert state.sending is not None
    assert state.sending.kind is NotificationKind.RESOLVED


def test_recording_an_attempt_twice_does_nothing() -> None:
    history(INTEND, accepted()).when(accepted()).then_nothing()
    history(INTEND, failed()).when(failed()).then_nothing()


def test_a_failure_is_tried_again_with_growing_pauses() -> None:
    (first,) = history(INTEND).when(failed()).facts
    assert isinstance(first, AttemptFailed)
    assert first.retry_at == after(1.5)
    (third,) = history(INTEND, failed(), failed(2)).when(failed(3)).facts
    assert isinstance(third, AttemptFailed)
    assert third.retry_at == after(3)


def test_a_failure_that_cannot_be_mended_is_the_last() -> None:
    (fact,) = history(INTEND).when(failed(again=False)).facts
    assert isinstance(fact, AttemptFailed)
    assert fact.retry_at is None
    assert final(INTEND, failed(again=False)).stage is NotificationState.FAILED


def test_no_retry_is_planned_past_the_deadline() -> None:
    (fact,) = history(INTEND).when(failed(retry_after=30, at=290)).facts
    assert isinstance(fact, AttemptFailed)
    assert fact.retry_at is None


def test_a_failure_after_the_withdrawal_is_noted_and_changes_nothing() -> None:
    history(INTEND, stop()).when(failed(at=11)).then_types(AttemptFailed)
    state = final(INTEND, stop(), failed(at=11))
    assert (state.stage, state.sending) == (NotificationState.WITHDRAWN, None)


def test_a_replacement_that_fails_for_good_stays_replaced() -> None:
    state = final(INTEND, accepted(), stop(), failed(2, kind="acknowledged", again=False, at=11))
    assert (state.stage, state.sending) == (NotificationState.REPLACED, None)


def test_what_could_not_be_sent_in_time_expires_visibly() -> None:
    history(INTEND).when(ExpireNotification(after(299))).then_nothing()
    expired = history(INTEND).when(ExpireNotification(after(300))).then_types(NotificationWithdrawn)
    expired.when(accepted(at=301)).then_types(NotificationAccepted)
    late = ExpireNotification(after(8000))
    history(INTEND, accepted(), stop()).when(late).then_types(AttemptFailed).when(late).then_nothing()


def test_commands_on_what_was_never_intended_do_nothing() -> None:
    for command in (stop(), accepted(), failed(), ExpireNotification(NINE)):
        history().when(command).then_nothing()


@pytest.mark.parametrize(("failures", "longest"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (5000, 60)])
def test_the_pause_doubles_up_to_a_minute_with_full_jitter(failures: int, longest: float) -> None:
    assert retry_pause(failures, None, 0.0) == 0
    assert retry_pause(failures, None, 1.0) == longest


def test_the_vendors_wish_is_a_floor() -> None:
    assert retry_pause(1, 30.0, 0.25) == 30.25
    assert retry_pause(7, 1.0, 1.0) == 60


def test_a_vendor_that_wishes_for_ever_is_asked_again_in_a_minute() -> None:
    assert retry_pause(1, 1.764e12, 0.5) == 60.5
    (fact,) = history(INTEND).when(failed(retry_after=float("inf"))).facts
    assert isinstance(fact, AttemptFailed)
    assert fact.retry_at == after(61.5)


@pytest.mark.parametrize("reason", REASONS)
def test_a_stop_and_an_earlier_due_commute(reason: str) -> None:
    command = stop(reason)
    due_first = history(INTEND, command).facts
    stop_first = history(replace(INTEND, stop=command.stop)).facts
    assert [type(f) for f in due_first] == [type(f) for f in stop_first]
    one, other = Given(NOTIFICATION, due_first).state(), Given(NOTIFICATION, stop_first).state()
    assert one is not None
    assert other is not None
    assert (one.stage, one.sending, one.withdrawn_for) == (other.stage, other.sending, other.withdrawn_for)


def test_a_page_that_is_to_wait_is_due_then_and_lives_from_then_on() -> None:
    later = NINE + timedelta(minutes=10)
    waits = replace(INTEND, not_before=later, next_due_at=None, step=2)
    (fact,) = history().when(waits).facts
    assert isinstance(fact, NotificationIntended)
    assert (fact.not_before, fact.step, fact.expires_at) == (later, 2, later + timedelta(hours=1))
    sending = final(waits).sending
    assert sending is not None
    assert sending.due_at == later
    (short,) = history().when(replace(waits, next_due_at=NINE + timedelta(minutes=5))).facts
    assert isinstance(short, NotificationIntended)
    assert short.expires_at == later + timedelta(minutes=1)


def test_a_time_that_has_passed_means_at_once() -> None:
    (fact,) = history().when(replace(INTEND, not_before=after(-5))).facts
    assert isinstance(fact, NotificationIntended)
    assert (fact.not_before, fact.expires_at) == (None, INTEND.next_due_at)


COMMANDS = st.one_of(
    st.builds(stop, st.sampled_from(REASONS), st.integers(-5, 400), st.integers(0, 2)),
    st.builds(accepted, st.integers(1, 6), st.sampled_from(list(NotificationKind)), st.integers(0, 400)),
    st.builds(
        failed,
        st.integers(1, 6),
        kind=st.sampled_from(list(NotificationKind)),
        again=st.booleans(),
        retry_after=st.one_of(st.none(), st.floats(0, 500)),
        chance=st.floats(0, 0.99),
        at=st.integers(0, 400),
    ),
    st.builds(ExpireNotification, st.integers(0, 8000).map(after)),
    st.just(INTEND),
)


@given(st.lists(COMMANDS, max_size=12))
def test_whatever_happens_nothing_rings_after_a_withdrawal(commands: list[Any]) -> None:
    state = NOTIFICATION.initial()
    withdrawn = False
    for command in (INTEND, *commands):
        for fact in NOTIFICATION.decide(command, state):
            state = NOTIFICATION.evolve(state, fact)
            withdrawn = withdrawn or isinstance(fact, NotificationWithdrawn)
        assert state is not None
        assert not (withdrawn and state.is_sending(NotificationKind.PAGE))
        assert not (state.stage is NotificationState.WITHDRAWN and state.sending)
        assert list(NOTIFICATION.decide(command, state)) == [], "a repeated command decides nothing"


@given(st.lists(COMMANDS, max_size=12))
def test_whatever_happens_a_page_is_intended_and_accepted_once(commands: list[Any]) -> None:
    facts = history(INTEND, *commands).facts
    assert sum(isinstance(f, NotificationIntended) for f in facts) == 1
    attempts = [f.attempt for f in facts if isinstance(f, NotificationAccepted | AttemptFailed)]
    assert attempts == sorted(set(attempts))
