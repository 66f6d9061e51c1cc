"""For how long nobody tries passwords from one place, after how many wrong ones."""

from datetime import UTC, datetime, timedelta

import pytest

from services.auth.domain import lockout
from services.auth.domain.lockout import HOURLY, LONGEST, MOST, Record, attempted, attempted_anywhere, counted, right

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def _wrong(record: Record, now: datetime, times: int = 1) -> Record:
    """So many, one after the other; none of them has to wait."""
    for _ in range(times):
        record, wait = attempted(counted(record, now, None), MOST, now)
        assert not wait
        record = lockout.wrong(record, MOST, now)
    return record


def _wait(record: Record, now: datetime) -> timedelta:
    return attempted(counted(record, now, None), MOST, now)[1]


def test_the_fifth_wrong_password_locks_for_a_quarter_of_an_hour() -> None:
    four = _wrong(Record(), NOW, MOST - 1)
    assert not four.wait(NOW)
    five = _wrong(four, NOW)
    assert five.wait(NOW) == 15 * MINUTE
    assert _wait(five, NOW + 10 * MINUTE) == 5 * MINUTE
    assert not _wait(five, NOW + 15 * MINUTE)


def test_each_further_lockout_takes_twice_as_long_up_to_eight_hours() -> None:
    record, now, lasted = Record(), NOW, list[float]()
    for _ in range(8):
        record = _wrong(record, now, MOST)
        lasted.append(record.wait(now) / MINUTE)
        now += record.wait(now)
    assert lasted == [15, 30, 60, 120, 240, 480, 480, 480]


def test_a_day_after_a_lockout_it_begins_anew_and_an_hour_after_a_wrong_password_it_is_forgotten() -> None:
    record = _wrong(Record(), NOW, MOST)
    assert record.locked_until is not None
    day = timedelta(days=1)
    assert _wrong(record, record.locked_until + day, MOST).wait(record.locked_until + day) == 15 * MINUTE
    four = _wrong(Record(), NOW, MOST - 1)
    assert not _wrong(four, NOW + 60 * MINUTE).wait(NOW + 60 * MINUTE)
    assert _wrong(four, NOW + 59 * MINUTE).wait(NOW + 59 * MINUTE)


def test_a_right_password_is_the_end_of_what_was_wrong_before() -> None:
    record, _ = attempted(_wrong(Record(), NOW, MOST - 1), MOST, NOW)
    record = right(record, NOW)
    assert (record.wrong, record.under_way, record.lockouts) == (0, 0, 0)
    assert record.familiar(NOW + timedelta(days=29))
    assert not record.familiar(NOW + timedelta(days=30))


def test_what_is_under_way_counts_before_it_is_looked_at() -> None:
    record = Record()
    for _ in range(MOST):
        record, wait = attempted(record, MOST, NOW)
        assert not wait
    assert attempted(record, MOST, NOW) == (record, lockout.MOMENT)
    assert not attempted(lockout.undone(record), MOST, NOW)[1]


def test_an_attempt_whose_process_died_was_wrong() -> None:
    record = Record()
    for _ in range(MOST):
        record, _ = attempted(record, MOST, NOW)
    later = NOW + lockout.UNDER_WAY
    assert _wait(record, later - timedelta(milliseconds=1)) == lockout.MOMENT
    assert _wait(record, later) == 15 * MINUTE
    one, _ = attempted(Record(), MOST, NOW)
    assert counted(one, later, None).wrong == 1


def test_guesses_at_another_password_say_nothing_of_this_one() -> None:
    record = _wrong(right(Record(), NOW), NOW, MOST)
    changed = NOW + MINUTE
    assert counted(record, changed, changed) == Record(right_at=NOW)
    assert counted(record, changed, NOW).wait(changed)


def test_a_clock_that_was_set_back_locks_nobody_for_longer_than_the_longest_time() -> None:
    assert _wrong(Record(), NOW, MOST).wait(NOW - timedelta(days=400)) == LONGEST


def test_what_a_clock_that_was_ahead_has_locked_is_open_once_it_is_right() -> None:
    ahead = NOW + timedelta(days=365)
    locked = _wrong(Record(right_at=ahead), ahead, MOST)
    record = counted(locked, NOW, None)
    assert not _wait(locked, NOW)
    assert record.right_at == NOW, "it has signed in from there"
    assert _wait(_wrong(Record(), NOW + MINUTE, MOST), NOW), "another replica's clock is a little ahead at times"


def test_a_row_is_forgotten_when_nothing_of_it_counts_any_more() -> None:
    tried = _wrong(Record(), NOW)
    locked = _wrong(tried, NOW, MOST - 1)
    assert Record().forget_at is None
    assert tried.forget_at == NOW + timedelta(hours=2)
    assert locked.forget_at == NOW + 15 * MINUTE + timedelta(days=1)
    assert counted(locked, NOW + timedelta(days=2), None).lockouts == 0
    assert right(Record(), NOW).forget_at == NOW + lockout.FAMILIAR


@pytest.mark.parametrize(("every", "delayed"), [(timedelta(minutes=5), True), (timedelta(minutes=6), False)])
def test_more_than_ten_an_hour_from_anywhere_delay_answers_and_refuse_none(every: timedelta, delayed: bool) -> None:
    record, now, late = Record(), NOW, False
    for _ in range(100):
        record, late = attempted_anywhere(record, now)
        now += every
    assert late is delayed
    assert record.wrong <= 2 * HOURLY
    assert not attempted_anywhere(record, now + timedelta(hours=2))[1]


def test_the_eleventh_at_once_is_delayed_and_a_right_one_is_none_of_them() -> None:
    record, late = Record(), list[bool]()
    for _ in range(HOURLY + 1):
        record, delayed = attempted_anywhere(record, NOW)
        late.append(delayed)
    assert late == [False] * HOURLY + [True]
    assert lockout.right_anywhere(record).wrong == HOURLY
