"""Lockout: for how long nobody tries passwords of an account from one place, after how many wrong ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

MOST: Final = 5
"""Wrong passwords for one account from the narrowest place (technical specification, Password Security)."""
WIDER: Final = 3
"""Times as many from each network around it, as at the gateway's brake."""
FIRST: Final = timedelta(minutes=15)
"""The first lockout; each further one takes twice as long as the one before."""
LONGEST: Final = timedelta(hours=8)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart."""
UNDER_WAY: Final = timedelta(seconds=10)
"""No request takes as long: an attempt that nobody has heard of for longer died with its process, and was wrong."""
MOMENT: Final = timedelta(seconds=1)
"""For others whose attempts are under way."""
FAMILIAR: Final = timedelta(days=30)
"""So long an account is at home where it has signed in."""
HOURLY: Final = 10
"""Wrong passwords for one account from anywhere (technical specification, API Security)."""

MAILS: Final = 3
"""To one address, whoever asks for them; then one each third of an hour."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of an account's passwords from one place; of all places together `wrong` and `tried_at`."""

    wrong: int = 0
    under_way: int = 0
    tried_at: datetime | None = None
    lockouts: int = 0
    """In a row."""
    locked_until: datetime | None = None
    right_at: datetime | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Record:
        return cls(**{name: row[name] for name in cls.__slots__})

    @property
    def forget_at(self) -> datetime | None:
        """When nothing of it counts any more; None: nothing does."""
        ends = [
            at + lasts
            for at, lasts in ((self.tried_at, 2 * _HOUR), (self.locked_until, _DAY), (self.right_at, FAMILIAR))
            if at is not None
        ]
        return max(ends, default=None)

    def familiar(self, now: datetime) -> bool:
        """Whether the account has signed in from there lately."""
        return self.right_at is not None and now < self.right_at + FAMILIAR

    def wait(self, now: datetime) -> timedelta:
        """How long the lockout goes on; bounded, for a clock may have been set back."""
        if self.locked_until is None:
            return timedelta(0)
        return max(timedelta(0), min(self.locked_until - now, LONGEST))


def counted(record: Record, now: datetime, since: datetime | None) -> Record:
    """What still counts; `since`: when the account was given its password. Guesses at another one say nothing of it."""
    tried_at = record.tried_at
    if tried_at is not None and tried_at > now + _APART:
        # A clock was wrong: what it has locked would stay locked until that moment comes.
        return Record(right_at=record.right_at and min(record.right_at, now))
    if tried_at is None or (since is not None and tried_at < since):
        return Record(right_at=record.right_at)
    kept = record
    if kept.under_way and not timedelta(0) <= now - tried_at < UNDER_WAY:
        kept = replace(kept, wrong=kept.wrong + kept.under_way, under_way=0)
    if now - tried_at >= _HOUR:
        kept = replace(kept, wrong=0)
    if kept.locked_until is not None and now >= kept.locked_until + _DAY:
        kept = replace(kept, lockouts=0, locked_until=None)
    return kept


def attempted(record: Record, most: int, now: datetime) -> tuple[Record, timedelta]:
    """With one more attempt under way and no wait; or without it, and for how long nobody tries.

    An attempt counts before it is looked at: a hundred at once, on several replicas, are a hundred.
    """
    if record.wait(now):
        return record, record.wait(now)
    if record.wrong >= most:
        record = _locked(record, now)
        return record, record.wait(now)
    if record.wrong + record.under_way >= most:
        return record, MOMENT
    return replace(record, under_way=record.under_way + 1, tried_at=now), timedelta(0)


def undone(record: Record) -> Record:
    """Nobody knows whether the attempt was right: it was not looked at, or more than the password was needed."""
    return replace(record, under_way=max(0, record.under_way - 1))


def wrong(record: Record, most: int, now: datetime) -> Record:
    """The attempt was wrong; the last one of `most` begins a lockout."""
    record = undone(record)
    record = replace(record, wrong=record.wrong + 1, tried_at=record.tried_at or now)
    return _locked(record, now) if record.wrong >= most and not record.wait(now) else record


def right(record: Record, now: datetime) -> Record:
    """The attempt was right: those before it were its owner's."""
    return Record(under_way=undone(record).under_way, tried_at=record.tried_at, right_at=now)


def _locked(record: Record, now: datetime) -> Record:
    lasts = min(FIRST * 2 ** min(record.lockouts, 10), LONGEST)
    return replace(record, wrong=0, lockouts=min(record.lockouts + 1, 10), locked_until=now + lasts)


def attempted_anywhere(record: Record, now: datetime) -> tuple[Record, bool]:
    """With one more, and whether answers are delayed: there were more than `HOURLY` an hour. It never refuses."""
    left = record.wrong
    if record.tried_at is not None:
        left = max(0, left - max(0, int((now - record.tried_at) * HOURLY / _HOUR)))
    return replace(record, wrong=min(left + 1, 2 * HOURLY), tried_at=now), left >= HOURLY


def right_anywhere(record: Record) -> Record:
    """Of these it was none."""
    return replace(record, wrong=max(0, record.wrong - 1))


def mailed(record: Record, now: datetime) -> tuple[Record, bool]:
    """With one more mail, and that it may go; or as it was: asking on and on keeps nobody from the next one."""
    left = record.wrong
    if record.tried_at is not None:
        was_ahead = record.tried_at > now + _APART
        left = 0 if was_ahead else max(0, left - max(0, int((now - record.tried_at) * MAILS / _HOUR)))
    if left >= MAILS:
        return record, False
    return replace(record, wrong=left + 1, tried_at=now), True
