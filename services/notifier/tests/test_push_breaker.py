"""The breaker opens when the vendor is away and not for some devices, probes, and closes when it is back."""

from datetime import timedelta

import pytest

from libs.chassis.clock import SystemClock
from services.notifier.providers import providers
from services.notifier.push.breaker import Breaker, BreakerState
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.settings import Settings
from services.notifier.tests.push_pages import NOW

FAILED = Outcome(Verdict.TRANSIENT, "timeout")
UNREACHED = Outcome(Verdict.TRANSIENT, "connection refused", everybodys=True)
REFUSED = Outcome(Verdict.CREDENTIALS, "Forbidden", 403)
GOOD = Outcome(Verdict.ACCEPTED, "accepted", 200)
LATER = NOW + timedelta(seconds=60)


def opened() -> Breaker:
    breaker = Breaker()
    assert [breaker.record(FAILED, NOW, device) for device in "abcab"] == [False, False, False, False, True]
    return breaker


def test_five_failures_of_three_devices_open_it_for_a_minute() -> None:
    breaker = opened()
    assert breaker.state is BreakerState.OPEN
    assert breaker.retry_at == LATER
    assert not breaker.allows(NOW + timedelta(seconds=59.9), "a")
    assert breaker.allows(LATER, "a")


def test_two_devices_that_fail_for_ever_do_not_open_it() -> None:
    breaker = Breaker()
    assert not any(breaker.record(FAILED, NOW, device) for device in "ab" * 50)


@pytest.mark.parametrize("outcome", [REFUSED, UNREACHED])
def test_what_would_befall_any_device_counts_whichever_it_befell(outcome: Outcome) -> None:
    breaker = Breaker()
    assert [breaker.record(outcome, NOW, "a") for _ in range(5)][-1]


def test_one_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker()
    for _ in range(10):
        for device in "abca":
            breaker.record(FAILED, NOW, device)
        breaker.record(GOOD, NOW, "healthy")
    assert breaker.is_closed


def test_failures_of_long_ago_do_not_open_it() -> None:
    breaker = Breaker()
    for n, device in enumerate("abcabcabc"):
        assert not breaker.record(FAILED, NOW + timedelta(seconds=8 * n), device)


def test_refusals_of_one_message_or_device_neither_open_nor_reset_it() -> None:
    breaker = Breaker()
    for device in "abca":
        breaker.record(FAILED, NOW, device)
        breaker.record(Outcome(Verdict.OURS, "BadTopic", 400), NOW, device)
        breaker.record(Outcome(Verdict.THROTTLE, "TooManyRequests", 429), NOW, device)
    assert breaker.record(FAILED, NOW, "b")


def test_a_device_that_has_not_failed_is_tried_at_once_and_shows_that_others_are_to_blame() -> None:
    breaker = opened()
    assert not breaker.allows(NOW, "a")
    assert breaker.allows(NOW, "healthy")
    assert not breaker.allows(NOW + timedelta(seconds=0.9), "another"), "one a second: it may be an outage after all"
    breaker.record(GOOD, NOW, "healthy")
    assert breaker.is_closed
    assert breaker.allows(NOW, "a")


def test_one_good_probe_closes_it() -> None:
    breaker = opened()
    assert [breaker.allows(LATER, "a") for _ in range(3)] == [True, True, False]
    breaker.record(GOOD, LATER, "a")
    assert breaker.is_closed


def test_a_bad_probe_opens_it_again_and_says_nothing_new() -> None:
    breaker = opened()
    assert breaker.allows(LATER, "a")
    assert not breaker.record(FAILED, LATER, "a")
    assert breaker.state is BreakerState.OPEN
    assert not breaker.allows(LATER + timedelta(seconds=59), "a")


def test_a_probe_that_never_reports_does_not_block_the_next() -> None:
    breaker = opened()
    assert breaker.allows(LATER, "a")
    assert breaker.allows(LATER, "a")
    assert not breaker.allows(LATER + timedelta(seconds=4), "a")
    assert breaker.allows(LATER + timedelta(seconds=5), "a")


def test_late_answers_do_not_prolong_the_pause() -> None:
    breaker = opened()
    assert not breaker.record(FAILED, NOW + timedelta(seconds=30), "a")
    assert breaker.allows(LATER, "a")


def test_one_that_is_not_on_never_opens_and_holds_no_page_back() -> None:
    breaker = Breaker(is_on=False)
    assert not any(breaker.record(FAILED, NOW, device) for device in "abc" * 20)
    assert breaker.is_closed
    assert breaker.allows(NOW, "a")
    assert not breaker.fails("a")


@pytest.mark.parametrize("is_on", [True, False])
def test_the_environment_says_whether_vendors_have_one(monkeypatch: pytest.MonkeyPatch, *, is_on: bool) -> None:
    monkeypatch.setenv("ENABLE_CIRCUIT_BREAKER", str(is_on).lower())
    settings = Settings.load(database_url="postgresql://h/d", nats_url="nats://h", sealing_key="k" * 32)
    for vendor in providers(settings, SystemClock()).values():
        for device in "abc" * 20:
            vendor.breaker.record(FAILED, NOW, device)
        assert vendor.breaker.is_closed is not is_on


def test_a_token_that_was_never_sent_closes_nothing() -> None:
    breaker = Breaker()
    for n in range(5):
        breaker.record(Outcome(Verdict.TRANSIENT, "timeout"), NOW, n)
    assert not breaker.is_closed
    breaker.record(Outcome(Verdict.RETIRE, "BadDeviceToken"), NOW, "not hexadecimal")
    assert not breaker.is_closed
    breaker.record(Outcome(Verdict.RETIRE, "BadDeviceToken", 400), NOW, "refused by the vendor")
    assert breaker.is_closed


@pytest.mark.parametrize("verdict", [Verdict.OURS, Verdict.THROTTLE])
def test_a_probe_that_teaches_nothing_is_handed_back(verdict: Verdict) -> None:
    breaker = opened()
    assert [breaker.allows(LATER, "a") for _ in range(3)] == [True, True, False]
    breaker.record(Outcome(verdict, "of one message", 400), LATER, "a")
    assert [breaker.allows(LATER, "a") for _ in range(2)] == [True, False]


def test_a_success_forgets_which_devices_have_failed() -> None:
    breaker = opened()
    assert breaker.fails("a")
    breaker.record(GOOD, LATER, "b")
    assert not breaker.fails("a")
