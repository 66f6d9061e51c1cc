"""Whoever holds a session shows once more that it is theirs, before what would keep its owner out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

from libs.chassis.requests.callers import Caller
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.requests import Forbidden, Invalid
from services.auth.attempts import Attempt, Attempts, WrongPassword
from services.auth.credentials import Credentials, credentials_of_user
from services.auth.passwords import Passwords
from services.auth.queries import SESSION

T = TypeVar("T")
JUST_NOW: Final = timedelta(minutes=5)
"""For so long after a sign-in a session is in the hands of whoever has signed in."""
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart."""


class SignedInLongAgo(Forbidden):
    """you did not sign in just now: sign in again, or give your password as currentPassword where it is taken"""


class NotTheirPassword(WrongPassword):
    """invalid password"""


class Right(Protocol):
    """`right(work, done)`: what was shown is right, which the transaction that decides writes down; `done`."""

    def __call__(self, work: Work, done: T, /) -> T: ...


@dataclass(frozen=True)
class Owners:
    store: Store
    passwords: Passwords
    attempts: Attempts

    @asynccontextmanager
    async def shown(self, caller: Caller, password: str | None) -> AsyncIterator[Right]:
        """Around what is decided for whoever knows the password, or shows something else in its place, at which the
        block looks: it raises WrongPassword where that is not good. What it decides goes through what is yielded.

        Raises:
            Invalid: the password is not good (`currentPassword`).
            LockedOut: there were too many wrong ones in this session.
            Busy: too many passwords are being looked at.
        """
        known = await self.store.read(lambda work: credentials_of_user(work, caller.user_id))
        target = self.attempts.guesses.within(known.user.email, caller.session_id)
        attempt = Attempt(target, known, at_home=True, peer=caller.peer)
        try:
            async with self.attempts.looked_at(attempt, partial(self._fits, password, known)) as (_, begun):

                def right(work: Work, done: T) -> T:
                    self.attempts.guesses.right(work, target, begun)
                    return done

                yield right
        except NotTheirPassword:
            raise Invalid("this is not your password", field="currentPassword") from None

    async def _fits(self, password: str | None, known: Credentials) -> None:
        """Raises NotTheirPassword."""
        if password is not None and not await self.passwords.verify(password, known.password_hash):
            raise NotTheirPassword


def check_just_signed_in(work: Work, caller: Caller) -> None:
    """Raises SignedInLongAgo."""
    rows = work.fetch(SESSION, id=caller.session_id)
    if not rows or not -_APART < work.now - rows[0]["began_at"] < JUST_NOW:
        raise SignedInLongAgo
