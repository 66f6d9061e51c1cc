"""Codes by a clock that is moved, and how many wrong ones are looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest

from libs.contracts.auth import RecoveryCodeUsed, SecondFactorDisabled, SecondFactorEnabled
from services.auth import codes
from services.auth.domain.second_factors import (
    HOURLY,
    Disable,
    Enable,
    Off,
    On,
    UseRecoveryCode,
    decide,
    evolve,
    next_look,
    still_wrong,
)

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
BO = UUID("00000000-0000-4000-8000-0000000000b0")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PRESENT = int(NOW.timestamp()) // codes.STEP


def at(step: int) -> str:
    return pyotp.TOTP(SECRET).generate_otp(step)


@pytest.mark.parametrize(
    ("seconds", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_the_standard(seconds: int, code: str) -> None:
    assert codes.step_of(SECRET, code, None, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


@pytest.mark.parametrize(("drift", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_good_a_step_around_its_own(drift: int, good: bool) -> None:
    found = codes.step_of(SECRET, at(PRESENT + drift), None, NOW)
    assert found == (PRESENT + drift if good else None)


def test_a_used_code_and_those_before_it_are_good_no_more() -> None:
    assert codes.step_of(SECRET, at(PRESENT), PRESENT, NOW) is None
    assert codes.step_of(SECRET, at(PRESENT - 1), PRESENT, NOW) is None
    assert codes.step_of(SECRET, at(PRESENT + 1), PRESENT, NOW) == PRESENT + 1
    later = NOW + timedelta(seconds=codes.STEP)
    assert codes.step_of(SECRET, at(PRESENT), PRESENT, later) is None


def test_a_clock_that_was_years_ahead_locks_nobody_out() -> None:
    ahead = PRESENT + 1_000_000
    assert codes.step_of(SECRET, at(PRESENT), ahead, NOW) == PRESENT
    assert codes.step_of(SECRET, at(PRESENT), PRESENT + 1, NOW) is None, "that may have been right"


@pytest.mark.parametrize("text", ["", "12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n1", "\ud7ff", "aaaa" * 4])
def test_what_has_no_form_of_a_code_is_none(text: str) -> None:
    assert codes.step_of(SECRET, codes.plain(text), None, NOW) is None


def test_recovery_codes_are_told_however_they_are_spelt() -> None:
    made = codes.new_recovery_codes()
    assert len(set(made)) == codes.RECOVERY_CODES
    for code in made:
        spelt = {codes.recovery_hash(BO, text) for text in (code, code.upper(), code.replace("-", " "), f" {code} ")}
        assert len(spelt) == 1
        assert codes.is_recovery_code(codes.plain(code))
        assert codes.recovery_hash(UUID(int=1), code) not in spelt
    assert not codes.is_recovery_code("123456")


def test_wrong_codes_are_forgotten_one_every_six_minutes_and_what_a_clock_counted_that_was_ahead_is_too() -> None:
    assert next_look(HOURLY - 1, NOW, NOW) == timedelta(0)
    assert next_look(HOURLY, NOW, NOW) == timedelta(minutes=6)
    assert next_look(HOURLY, NOW, NOW + timedelta(minutes=5)) == timedelta(minutes=1)
    assert next_look(HOURLY, NOW, NOW + timedelta(minutes=6)) == timedelta(0)
    assert next_look(HOURLY, NOW, NOW - timedelta(seconds=30)) == timedelta(minutes=6), "replicas differ a little"
    assert next_look(HOURLY, NOW, NOW - timedelta(days=900)) == timedelta(0)
    assert [still_wrong(HOURLY, NOW, NOW + timedelta(minutes=m)) for m in (0, 6, 30, 60, 600)] == [10, 9, 5, 0, 0]
    assert still_wrong(HOURLY, None, NOW) == 0


def test_what_is_off_is_not_put_off_and_what_is_on_is_not_put_on() -> None:
    (enabled,) = decide(Enable(BO), Off())
    assert (enabled, evolve(Off(), enabled)) == (SecondFactorEnabled(user_id=BO), On(BO))
    assert decide(Enable(BO), On(BO)) == []
    (disabled,) = decide(Disable("lost"), On(BO))
    assert (disabled, evolve(On(BO), disabled)) == (SecondFactorDisabled(user_id=BO, reason="lost"), Off())
    assert decide(Disable("lost"), Off()) == []
    (used,) = decide(UseRecoveryCode(3), On(BO))
    assert (used, evolve(On(BO), used)) == (RecoveryCodeUsed(user_id=BO, left=3), On(BO))
    assert decide(UseRecoveryCode(3), Off()) == []
