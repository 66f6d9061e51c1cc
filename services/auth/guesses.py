"""Guesses at accounts, known and unknown ones alike: each is kept in the database before its password is looked at.

Account and place are kept as HMACs under a key of auth's: the table names nobody. It has rows for what was hashed
lately and no more, since each attempt has its place in the line before it gets here (`passwords.py`).
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from libs.chassis.requests.peers import Peer
from libs.chassis.store.changes import Cleared, Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.addresses import one_address
from libs.contracts.requests import ErrorKind, Rejected
from services.auth.domain import lockout
from services.auth.domain.lockout import MOST, WIDER, Record
from services.auth.queries import GUESSES_AT, GUESSES_FORGOTTEN, GUESSES_OF
from services.auth.tables.passwords import guesses

_ANYWHERE = "anywhere"
_MAILS = "mails"


class LockedOut(Rejected):
    """too many wrong passwords for this account from here: wait a while"""

    kind = ErrorKind.RATE_LIMITED

    def __init__(self, wait: timedelta) -> None:
        super().__init__(retry_after=float(math.ceil(wait.total_seconds())))


@dataclass(frozen=True, slots=True)
class Target:
    """An account and the places that somebody tries its passwords from, the narrowest first."""

    account: bytes
    places: tuple[bytes, ...]
    anywhere: bytes

    def counted(self, *, familiar: bool) -> tuple[tuple[bytes, int], ...]:
        """Places, and the most wrong ones there. Where an account is at home its neighbours' do not count."""
        widths = enumerate(self.places[:1] if familiar else self.places)
        return tuple((place, MOST * WIDER**width) for width, place in widths)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known before an attempt."""

    wait: timedelta
    familiar: bool


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that is under way, unless there is a `wait`."""

    wait: timedelta
    delayed: bool
    counted: tuple[tuple[bytes, int], ...]
    locked_until: datetime | None = None
    """A lockout that begins now, for attempts whose process died."""


@dataclass(frozen=True)
class Guesses:
    """Each method runs in a transaction; those that write come one after the other for one account."""

    key: Callable[[], bytes]
    """Under which accounts and places are kept."""

    def at(self, email: str, peer: Peer) -> Target:
        """A sign-in."""
        return self._target(email, peer.networks or (peer.network or "unknown",))

    def by_device(self, email: str, key: bytes) -> Target:
        """A sign-in on a device that is known by its key, wherever it is: strangers' guesses are not its own."""
        return self._target(email, (f"device {key.hex()}",))

    def within(self, email: str, session_id: UUID) -> Target:
        """Whoever holds a session and not its password is held up wherever they are."""
        return self._target(email, (f"session {session_id}",))

    def look(self, work: Work, target: Target, since: datetime | None) -> Seen:
        """Without a lock; what counts is what `begin` says. `since`: when the account was given its password."""
        records = self._records(work, target, since)
        familiar = records[target.places[0]].familiar(work.now)
        waits = [records[place].wait(work.now) for place, _ in target.counted(familiar=familiar)]
        return Seen(max(waits), familiar)

    def begin(self, work: Work, target: Target, since: datetime | None, *, familiar: bool) -> Begun:
        """Count an attempt, before its password is looked at. It never raises: a lockout that begins is to be kept."""
        self._lock(work, target.account)
        for row in work.fetch(GUESSES_FORGOTTEN, now=work.now):  # before ours are written anew, which may be among them
            work.put(Gone(guesses, {"account": bytes(row["account"]), "place": bytes(row["place"])}))
        records = self._records(work, target, since)
        counted = target.counted(familiar=familiar)
        tried = {place: lockout.attempted(records[place], most, work.now) for place, most in counted}
        wait = max(wait for _, wait in tried.values())
        begins = [r.locked_until for place, (r, _) in tried.items() if r.lockouts > records[place].lockouts]
        changed = {place: record for place, (record, waits) in tried.items() if not wait or waits}
        delayed = False
        if not wait:
            changed[target.anywhere], delayed = lockout.attempted_anywhere(records[target.anywhere], work.now)
        self._keep(work, target.account, changed)
        return Begun(wait, delayed, counted, max((b for b in begins if b is not None), default=None))

    def wrong(self, work: Work, target: Target, begun: Begun) -> datetime | None:
        """Until when a lockout lasts that this attempt begins."""
        records = self._settling(work, target)
        after = {place: lockout.wrong(records[place], most, work.now) for place, most in begun.counted}
        self._keep(work, target.account, after)
        begins = [r.locked_until for place, r in after.items() if r.lockouts > records[place].lockouts]
        return max((until for until in begins if until is not None), default=None)

    def right(self, work: Work, target: Target, begun: Begun) -> None:
        records = self._settling(work, target)
        after = {place: lockout.right(records[place], work.now) for place, _ in begun.counted}
        after[target.anywhere] = lockout.right_anywhere(records[target.anywhere])
        self._keep(work, target.account, after)

    def undone(self, work: Work, target: Target, begun: Begun) -> None:
        """The attempt was not looked at, or its password was right and something else was not."""
        records = self._settling(work, target)
        after = {place: lockout.undone(records[place]) for place, _ in begun.counted}
        after[target.anywhere] = lockout.right_anywhere(records[target.anywhere])
        self._keep(work, target.account, after)

    def forgive(self, work: Work, email: str) -> bool:
        """Let everybody try this account anew; whether anybody was held up, or nearly."""
        account = self._target(email, ()).account
        self._lock(work, account)
        held = False
        for row in work.fetch(GUESSES_OF, account=account):
            record = Record.of(row)
            held = held or bool(record.wait(work.now) or record.lockouts or record.wrong)
            if record.right_at is None:
                work.put(Gone(guesses, {"account": account, "place": row["place"]}))
            else:
                self._keep(work, account, {bytes(row["place"]): Record(right_at=record.right_at)})
        return held

    def forget(self, work: Work, email: str) -> None:
        """All that was tried and mailed there."""
        account = self._target(email, ()).account
        self._lock(work, account)
        work.put(Cleared(guesses, {"account": account}))

    def may_be_mailed(self, work: Work, email: str) -> bool:
        """Whether a mail that somebody has asked for may go to this address, which then counts; nobody's too."""
        target = self._target(email, (_MAILS,))
        record, may = lockout.mailed(self._settling(work, target)[target.places[0]], work.now)
        if may:
            self._keep(work, target.account, {target.places[0]: record})
        return may

    def _target(self, email: str, places: Iterable[str]) -> Target:
        account = hmac.digest(self.key(), one_address(email).encode(), sha256)

        def place(name: str) -> bytes:
            return hmac.digest(self.key(), account + name.encode(), sha256)

        return Target(account, tuple(map(place, places)), place(_ANYWHERE))

    def _lock(self, work: Work, account: bytes) -> None:
        work.lock(f"pager/auth/guesses/{account.hex()}")

    def _settling(self, work: Work, target: Target) -> dict[bytes, Record]:
        self._lock(work, target.account)
        return self._read(work, target)

    def _records(self, work: Work, target: Target, since: datetime | None) -> dict[bytes, Record]:
        records = self._read(work, target)
        return {
            place: record if place == target.anywhere else lockout.counted(record, work.now, since)
            for place, record in records.items()
        }

    def _read(self, work: Work, target: Target) -> dict[bytes, Record]:
        places = [*target.places, target.anywhere]
        rows = work.fetch(GUESSES_AT, account=target.account, places=places)
        return dict.fromkeys(places, Record()) | {bytes(row["place"]): Record.of(row) for row in rows}

    def _keep(self, work: Work, account: bytes, records: dict[bytes, Record]) -> None:
        for place, record in records.items():
            row = {name: getattr(record, name) for name in Record.__slots__}
            kept = {"account": account, "place": place, "forget_at": record.forget_at or work.now}
            work.put(Row(guesses, kept | row))
