"""Passwords: which are good enough, and bcrypt in threads of its own."""

from __future__ import annotations

import asyncio
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar

import bcrypt

from libs.contracts.requests import ErrorKind, Invalid, Rejected

T = TypeVar("T")
LINE = 8
"""Passwords that are being hashed or wait for it: the last of them is answered after two seconds of a free core."""
KEPT = 3
"""Places of these for accounts that have signed in from where they are: strangers cannot fill the whole line."""
MIN_LENGTH = 12
MIN_ROUNDS = 12
"""bcrypt's work factor (technical specification, Password Security): 2^12 iterations, about 240 ms of one core."""


class Busy(Rejected):
    """Too many passwords are being checked: try again in a moment."""

    kind = ErrorKind.UNAVAILABLE


def check_password(password: str) -> None:
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
        raise Invalid(f"the password needs at least {', '.join(missing)}", field="password")


def _normal(password: str) -> str:
    # Keyboards compose the same letter differently (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def _digest(password: str) -> bytes:
    """44 bytes of any password: bcrypt reads 72 bytes and stops at a NUL, which base64 of a SHA-256 never holds."""
    return b64encode(sha256(_normal(password).encode()).digest())


class Passwords:
    """Hashes and checks passwords; call it while no database connection is held. All of it raises Busy.

    One at a time: whoever sends us passwords gets one core of the machine at most, and pages have the others. A few
    wait here, not at the event loop; who would be answered when nobody listens any more is sent away at once.
    """

    def __init__(self, rounds: int = MIN_ROUNDS) -> None:
        self._rounds = rounds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="auth-bcrypt")
        self._in_line = 0
        self._closed = False
        # A well-formed hash of no password: it costs as much to check as any other.
        self._nobody = bcrypt.gensalt(rounds) + b"." * 31

    async def hash(self, password: str) -> str:
        """A new salted hash, as it is stored."""
        return await self._run(lambda: bcrypt.hashpw(_digest(password), bcrypt.gensalt(self._rounds)).decode("ascii"))

    async def verify(self, password: str, known: str | None, *, known_there: bool = False) -> bool:
        """Whether it is the password of this hash; None (no such person) takes the same time and is False.

        `known_there`: this account has signed in from there before.
        """
        stored = self._nobody if known is None else known.encode("ascii")
        right = await self._run(lambda: bcrypt.checkpw(_digest(password), stored), LINE if known_there else LINE - KEPT)
        return right and known is not None

    def close(self) -> None:
        """What is under way goes on; nothing new is begun."""
        self._closed = True
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T], line: int = LINE) -> T:
        if self._closed:
            raise Rejected("this replica is stopping: try again", kind=ErrorKind.UNAVAILABLE)
        if self._in_line >= line:
            raise Busy
        self._in_line += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._in_line -= 1
