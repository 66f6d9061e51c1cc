"""Passwords: which are good enough, and bcrypt in a thread of its own."""

from __future__ import annotations

import asyncio
import hmac
import re
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

import bcrypt
from zxcvbn import zxcvbn

from libs.contracts.auth import UserView
from libs.contracts.requests import ErrorKind, Invalid, Rejected

T = TypeVar("T")
LINE = 8
"""Passwords that are being hashed or wait for it: the last of them is answered after two seconds of a free core."""
KEPT = 3
"""Places of these for accounts that have signed in from where they are: strangers cannot fill the whole line."""
PATIENCE = 3.0
"""Seconds of waiting, after which a password is not looked at any more: on a busy core nobody would hear of it."""
MIN_LENGTH = 12
MIN_ROUNDS = 12
"""bcrypt's work factor (technical specification, Password Security): 2^12 iterations, about 240 ms of one core."""
LAST = 5
"""Of a person's passwords, the present one among them, none is taken again (specification, Password Security)."""
_ENOUGH = 3
"""zxcvbn's "safely unguessable": a hundred million guesses or more."""
_JUDGED = 64
"""Characters: zxcvbn takes longer than in proportion, and what begins well ends no worse."""
_SALT = 29
"""Characters of a hash that say how it is made: version, work factor and salt."""


class Busy(Rejected):
    """Too many passwords are being checked: try again in a moment."""

    kind = ErrorKind.UNAVAILABLE


class OldPassword(Invalid):
    """this was one of the last five passwords"""


def check_form(password: str, field: str = "password") -> None:
    """The specification's rules (Password Security): 12 characters, mixed case, a number and a symbol.

    Raises:
        Invalid: says everything that is missing, never the password.
    """
    text = _normal(password)
    missing = [
        text_of_rule
        for text_of_rule, kept in (
            (f"{MIN_LENGTH} characters", len(text) >= MIN_LENGTH),
            ("a lower-case letter", any(c.islower() for c in text)),
            ("an upper-case letter", any(c.isupper() for c in text)),
            ("a number", any(c.isdigit() for c in text)),
            ("a symbol", any(not c.isalnum() and not c.isspace() for c in text)),
        )
        if not kept
    ]
    if missing:
        raise Invalid(f"the password needs at least {', '.join(missing)}", field=field)


def check_password(password: str, about: Iterable[str] = (), field: str = "password") -> None:
    """`check_form`, and not what many others have or what `about` its owner is known: names and address.

    Takes up to a tenth of a second of a core: event loops ask `Passwords.check`.

    Raises:
        Invalid: never says the password.
    """
    check_form(password, field)
    known = [word for text in about for word in (text, *re.split(r"[^\w]+", text)) if word]
    judged = zxcvbn(_normal(password)[:_JUDGED], user_inputs=known)
    if judged["score"] < _ENOUGH:
        why = str(judged["feedback"]["warning"]).rstrip(".")
        raise Invalid(
            "the password is too easy to guess" + (f": {why[0].lower()}{why[1:]}" if why else ""), field=field
        )


def about(user: UserView) -> tuple[str, ...]:
    """What others know of a person, and try first."""
    return (user.email, user.first_name, user.last_name)


def _normal(password: str) -> str:
    # Keyboards compose the same letter differently (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _digest(password: str) -> bytes:
    """44 bytes of any password: bcrypt reads 72 bytes and stops at a NUL, which base64 of a SHA-256 never holds."""
    return b64encode(sha256(_normal(password).encode()).digest())


class Passwords:
    """Hashes and checks passwords; call it while no database connection is held.

    One at a time: whoever sends us passwords gets one core of the machine at most, and pages have the others. A few
    wait in line (`place`), strangers behind everybody else; who would be answered when nobody listens any more is sent
    away at once. Whoever costs more than that is held up before, by whom they guess at (`guesses.py`).
    """

    def __init__(self, rounds: int = MIN_ROUNDS) -> None:
        self._rounds = rounds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="auth-bcrypt")
        self._in_line = 0
        self._hashing = False
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []
        """Strangers last, each in the order in which they came."""
        self._came = count()
        self._closed = False
        self._nobody = self.none()

    @contextmanager
    def place(self, *, stranger: bool = False) -> Iterator[None]:
        """Around what is hashed for one request; `stranger`: nobody knows that they have an account.

        Raises:
            Busy: too many are in line.
        """
        if self._in_line >= (LINE - KEPT if stranger else LINE):
            raise Busy
        self._in_line += 1
        try:
            yield
        finally:
            self._in_line -= 1

    def none(self) -> str:
        """A well-formed hash of no password: it costs as much to check as any other, and none fits it."""
        return bcrypt.gensalt(self._rounds).decode("ascii") + "." * 31

    async def check(self, password: str, about: Sequence[str], field: str = "password") -> None:
        """`check_password`, off the event loop."""
        check_form(password, field)
        await self._run(lambda: check_password(password, about, field))

    async def verify(self, password: str, known: str | None, *, stranger: bool = False) -> bool:
        """Whether it is the password of this hash; None (no such person) takes the same time and is False."""
        stored = self._nobody if known is None else known
        right = await self._run(lambda: bcrypt.checkpw(_digest(password), stored.encode("ascii")), stranger=stranger)
        return right and known is not None

    async def hash(self, password: str, former: Sequence[str] = ()) -> str:
        """What is stored of a new password; `former`: what was stored of this person's last ones, the present first.

        A person keeps one salt, which is nobody else's: so one hash tells that it is none of the former ones, where
        a salt for each would take as many hashes as there are (docs/adr/0054).

        Raises:
            OldPassword: it is one of them.
        """
        return await self._run(lambda: self._hashed(_digest(password), [old.encode("ascii") for old in former]))

    def close(self) -> None:
        """What is under way goes on; nothing new is begun."""
        self._closed = True
        self._thread.shutdown(wait=False)

    def _hashed(self, digest: bytes, former: Sequence[bytes]) -> str:
        made = {salt: bcrypt.hashpw(digest, salt) for salt in dict.fromkeys(old[:_SALT] for old in former)}
        if any(hmac.compare_digest(made[old[:_SALT]], old) for old in former):
            raise OldPassword
        # Not under one of another work factor, which the settings had before.
        fresh = bcrypt.gensalt(self._rounds)
        fits = [hashed for salt, hashed in made.items() if salt[:7] == fresh[:7]]
        return (fits[0] if fits else bcrypt.hashpw(digest, fresh)).decode("ascii")

    async def _run(self, work: Callable[[], T], *, stranger: bool = False) -> T:
        loop = asyncio.get_running_loop()
        if self._hashing:
            turn, came = loop.create_future(), loop.time()
            heappush(self._waiting, (stranger, next(self._came), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():  # it had just been given
                    self._give_turn()
                raise
            if loop.time() - came > PATIENCE:
                self._give_turn()
                raise Busy
        self._hashing = True
        try:
            if self._closed:
                raise Rejected("this replica is stopping: try again", kind=ErrorKind.UNAVAILABLE)
            return await loop.run_in_executor(self._thread, work)
        finally:
            self._give_turn()

    def _give_turn(self) -> None:
        while self._waiting:
            *_, turn = heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._hashing = False
