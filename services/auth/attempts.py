"""Attempts at passwords: each has a place in the line, counts before it is looked at, and is told right or wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID, uuid4

import structlog

from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.requests import Unauthenticated
from services.auth import signed_in
from services.auth.captchas import Captchas
from services.auth.credentials import Credentials
from services.auth.guesses import Begun, Guesses, LockedOut, Target
from services.auth.notices import Kind, Notices
from services.auth.passwords import Passwords
from services.auth.refusals import Refusals

T = TypeVar("T")
LOCKED: Final = "locked out"
"""Why nothing was looked at, as the audit says it."""
DELAY: Final = 1.0
"""Seconds that an answer waits where many wrong passwords were tried from elsewhere."""
_log = structlog.get_logger()


class WrongPassword(Unauthenticated):
    """invalid email or password"""

    reason = "wrong password"
    """As the log says it."""


class Left(WrongPassword):
    """invalid email or password"""

    reason = "deactivated"


@dataclass(frozen=True, slots=True)
class Attempt:
    """At whose account, and from where; `at_home`: it has signed in from there before, or is signed in."""

    target: Target
    known: Credentials | None
    at_home: bool
    peer: Peer = field(default_factory=Peer)
    captcha: str | None = field(default=None, repr=False)
    """One that is solved."""

    @property
    def user_id(self) -> UUID | None:
        return self.known.user.id if self.known is not None else None


@dataclass
class Attempts:
    store: Store
    passwords: Passwords
    guesses: Guesses
    refusals: Refusals
    notices: Notices
    captchas: Captchas
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _recording: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def looked_at(self, attempt: Attempt, hashing: Callable[[], Awaitable[T]]) -> AsyncIterator[tuple[T, Begun]]:
        """What `hashing` makes of the password, unless it raises WrongPassword; so may whoever gets it.

        Whoever gets it tells `guesses.right` in the transaction that it decides; where that is not committed, nothing
        was learnt of the password. The same work is done for accounts that nobody has.

        Raises:
            Busy: too many are looked at; this one counts for nothing.
            LockedOut: there were too many wrong ones, or as many are under way.
            CaptchaWanted: many were tried from anywhere, and there is none that is solved.
        """
        begun: Begun | None = None
        try:
            with self.passwords.place(stranger=not attempt.at_home):
                begun = await self._begin(attempt)
                if delayed := begun.delayed and not attempt.at_home:
                    delayed = not await self.captchas.asked(attempt.captcha)
                wrong = None
                try:
                    made = await hashing()
                except WrongPassword as error:
                    wrong = error
            if delayed:
                await self.sleep(DELAY)
            if wrong is not None:
                raise wrong
            yield made, begun
        except WrongPassword as error:
            if begun is not None:
                self.refused(attempt, error.reason)
                self._beside(self._wrong(attempt, begun))
            raise
        except LockedOut:
            self.refused(attempt, LOCKED)
            if begun is not None:
                self._beside(self._undone(attempt, begun))
            raise
        except BaseException:
            if begun is not None:
                self._beside(self._undone(attempt, begun))
            raise

    def refused(self, attempt: Attempt, reason: str) -> None:
        """For the audit, nobody's accounts too."""
        self.refusals.of_sign_in(attempt.target.account, attempt.user_id, reason, attempt.peer)

    async def close(self) -> None:
        """Return when everything is recorded."""
        await asyncio.gather(*self._recording)

    async def _begin(self, attempt: Attempt) -> Begun:
        def begin(work: Work) -> Begun:
            since = attempt.known.changed_at if attempt.known is not None else None
            begun = self.guesses.begin(work, attempt.target, since, familiar=attempt.at_home)
            if begun.locked_until is not None and attempt.user_id is not None:
                self._lock(work, attempt.user_id, begun.locked_until, attempt.peer)
            return begun

        begun = (await self.store.transact(begin)).result
        if begun.wait:
            raise LockedOut(begun.wait)
        return begun

    def _beside(self, recording: Awaitable[None]) -> None:
        """Beside the answer, not before it: the commit's milliseconds would tell which addresses have an account."""
        task = asyncio.ensure_future(recording)
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _wrong(self, attempt: Attempt, begun: Begun) -> None:
        until = await self._record(lambda work: self.guesses.wrong(work, attempt.target, begun))
        if attempt.user_id is None or until is None:
            return
        user_id = attempt.user_id
        # By itself: whoever tries again at once waits for the record above, which is the same for nobody's account.
        await self._record(lambda work: self._lock(work, user_id, until, attempt.peer))

    def _lock(self, work: Work, user_id: UUID, until: datetime, peer: Peer) -> None:
        signed_in.begin_lockout(work, uuid4(), user_id, until, peer)
        self.notices.of(work, Kind.LOCKOUT, user_id)

    async def _undone(self, attempt: Attempt, begun: Begun) -> None:
        await self._record(lambda work: self.guesses.undone(work, attempt.target, begun))

    async def _record(self, handler: Callable[[Work], T]) -> T | None:
        try:
            return (await self.store.transact(handler)).result
        except Exception:  # noqa: BLE001 - the person was answered: within seconds it is wrong (`lockout.UNDER_WAY`)
            _log.exception("what became of an attempt was not recorded")
            return None
