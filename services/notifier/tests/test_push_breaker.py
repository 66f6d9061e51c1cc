"""The breaker opens, probes and closes as the specification says."""

from datetime import timedelta

from services.notifier.push.breaker import Breaker, BreakerState
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.push_pages import NOW

FAILED = Outcome(Verdict.TRANSIENT, "timeout")
REFUSED = Outcome(Verdict.CREDENTIALS, "Forbidden", 403)
GOOD = Outcome(Verdict.ACCEPTED, "accepted", 200)


def opened() -> Breaker:
    breaker = Breaker()
    assert [breaker.record(FAILED, NOW) for _ in range(5)] == [False, False, False, False, True]
    return breaker


def test_five_failures_in_a_row_open_it_for_a_minute() -> None:
    breaker = opened()
    assert breaker.state is BreakerState.OPEN
    assert breaker.retry_at == NOW + timedelta(seconds=60)
    assert not breaker.allows(NOW + timedelta(seconds=59.9))
    assert breaker.allows(NOW + timedelta(seconds=60))


def test_refused_credentials_count_as_failures() -> None:
    breaker = Breaker()
    assert [breaker.record(REFUSED, NOW) for _ in range(5)][-1]


def test_one_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10):
        for _ in range(4):
            breaker.record(FAILED, NOW)
        breaker.record(GOOD, NOW)
    assert breaker.state is BreakerState.CLOSED


def test_refusals_of_one_message_or_device_neither_open_nor_reset_it() -> None:
    breaker = Breaker()
    for _ in range(4):
        breaker.record(FAILED, NOW)
        breaker.record(Outcome(Verdict.OURS, "BadTopic", 400), NOW)
        breaker.record(Outcome(Verdict.THROTTLE, "TooManyRequests", 429), NOW)
    assert breaker.record(FAILED, NOW)


def test_two_good_probes_close_it() -> None:
    breaker, later = opened(), NOW + timedelta(seconds=60)
    assert breaker.allows(later)
    assert breaker.allows(later)
    assert not breaker.allows(later)
    breaker.record(GOOD, later)
    assert breaker.allows(later)
    assert not breaker.allows(later)
    breaker.record(GOOD, later)
    assert breaker.state is BreakerState.CLOSED


def test_one_bad_probe_opens_it_again() -> None:
    breaker, later = opened(), NOW + timedelta(seconds=60)
    assert breaker.allows(later)
    assert breaker.record(FAILED, later)
    assert not breaker.allows(later + timedelta(seconds=59))


def test_a_probe_that_never_reports_does_not_block_the_next() -> None:
    breaker, later = opened(), NOW + timedelta(seconds=60)
    assert breaker.allows(later)
    assert breaker.allows(later)
    assert not breaker.allows(later + timedelta(seconds=4))
    assert breaker.allows(later + timedelta(seconds=5))


def test_late_answers_do_not_prolong_the_pause() -> None:
    breaker = opened()
    assert not breaker.record(FAILED, NOW + timedelta(seconds=30))
    assert breaker.allows(NOW + timedelta(seconds=60))
