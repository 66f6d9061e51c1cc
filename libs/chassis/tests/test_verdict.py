"""Who is to blame is judged in one place: each culprit by name, and nobody who cannot do without it."""

from __future__ import annotations

from typing import Any

import pytest

from libs.chassis.monitor.verdict import Found, Silent, Verdict, Word, judge
from libs.contracts.health import Effect, Health, Trouble
from libs.contracts.subjects import SERVICES


def _health(service: str, **said: Any) -> Health:
    return Health(service=service, instance=f"{service}-1", active=True, **({"ready": True} | said))


def _verdict(**words: Word) -> Verdict:
    """Of all services that are well, but for these."""
    return judge(Found(bus=True, words={name: _health(name) for name in SERVICES} | words))


def _culprits(verdict: Verdict) -> list[str]:
    return [trouble.culprit for trouble in verdict.troubles]


def test_nothing_is_wrong_where_everybody_is_well() -> None:
    verdict = _verdict()

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == ("ok", True, [])


def test_without_the_bus_nobody_else_is_blamed() -> None:
    verdict = judge(Found(bus=False, words=dict.fromkeys(SERVICES, Silent.UNKNOWN)))

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == ("unavailable", False, ["bus"])


def test_a_database_that_is_away_is_blamed_once_and_for_all_that_comes_of_it() -> None:
    without = {
        name: _health(name, ready=False, database=False, stopped=("auth.routine: it hangs",)) for name in SERVICES
    }

    verdict = _verdict(**without)

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == ("unavailable", False, ["database"])


def test_a_database_of_one_service_is_blamed_with_that_service() -> None:
    verdict = _verdict(oncall=_health("oncall", ready=False, database=False))

    assert verdict.status == "degraded"
    assert [trouble.problem for trouble in verdict.of("database")] == ["does not answer oncall"]


@pytest.mark.parametrize("silent", [Silent.AWAY, Silent.HANGING])
@pytest.mark.parametrize(
    ("service", "status"),
    [
        ("auth", "degraded"),
        ("oncall", "degraded"),
        ("incidents", "unavailable"),
        ("escalation", "unavailable"),
        ("notifier", "unavailable"),
    ],
)
def test_a_service_without_a_word_is_named_and_nobody_is_ready(service: str, status: str, silent: Silent) -> None:
    verdict = _verdict(**{service: silent})

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == (status, False, [service])


def test_everything_that_is_away_is_named() -> None:
    verdict = judge(Found(bus=True, words=dict.fromkeys(SERVICES, Silent.AWAY)))

    assert sorted(_culprits(verdict)) == sorted(SERVICES)
    assert not verdict.is_ready


def test_a_bus_that_does_not_store_is_blamed_and_not_who_says_so() -> None:
    verdict = _verdict(incidents=_health("incidents", ready=False, unstored=("bus: ALERTS does not store",)))

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == ("unavailable", False, ["bus"])


@pytest.mark.parametrize(
    "said", [{"lag": {"incidents.urgent": 1000}}, {"parked": {"failure": 1}}, {"parked": {"waiting": 1, "input": 3}}]
)
def test_what_is_late_or_parked_degrades_and_keeps_no_caller_away(said: dict[str, Any]) -> None:
    verdict = _verdict(escalation=_health("escalation", **said))

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == ("degraded", True, ["escalation"])


def test_what_a_sender_sent_amiss_is_no_trouble_of_ours() -> None:
    verdict = _verdict(incidents=_health("incidents", parked={"input": 3}, lag={"ALERTS.urgent": 999}))

    assert verdict.status == "ok"


def test_vendors_that_are_away_leave_everybody_ready_although_nobody_is_paged() -> None:
    gone = tuple(
        Trouble(culprit=f"push {v}", problem="cannot be reached", effect=Effect.SILENCE) for v in ("apns", "fcm")
    )

    verdict = _verdict(notifier=_health("notifier", troubles=gone))

    assert (verdict.status, verdict.is_ready, _culprits(verdict)) == ("unavailable", True, ["push apns", "push fcm"])


def test_the_worst_is_told_first_and_nothing_twice() -> None:
    nobody = Trouble(culprit="policy Default", problem="reaches nobody", effect=Effect.WARNING)

    verdict = _verdict(escalation=_health("escalation", troubles=(nobody, nobody)), auth=Silent.AWAY)

    assert _culprits(verdict) == ["auth", "policy Default"]


def test_nothing_that_somebody_elses_error_said_is_told_to_everybody() -> None:
    secret = "duplicate key (push_token)=(abc123)"
    verdict = _verdict(
        auth=_health("auth", ready=False, stopped=(secret,)), oncall=_health("oncall", unstored=(secret,))
    )

    assert secret not in " ".join(trouble.problem for trouble in verdict.troubles)
    assert _culprits(verdict) == ["auth", "bus"]
