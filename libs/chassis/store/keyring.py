"""Keys of persons: what seals and opens their texts, and which of them a process holds (docs/adr/0058)."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from base64 import b64decode, b64encode
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, ClassVar, Final
from uuid import UUID
from weakref import proxy

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.chassis.store.changes import Change
from libs.chassis.store.personal import SEALED, SUBJECT, subject_of
from libs.chassis.store.work import Work
from libs.contracts.codec import Codec
from libs.contracts.envelope import Envelope
from libs.contracts.model import Box
from libs.contracts.requests import ErrorKind, Rejected

KEY_BYTES: Final = 32
"""AES-256."""
_NONCE: Final = 12
_NONCES: Final = b"pager/person/nonces/v1"
_KNOWN: Final = 4096
"""Opened keys that a process remembers; whichever was used longest ago is read again."""
_KNOWN_FOR: Final = timedelta(minutes=5)
"""So long another replica may go on opening what a key has sealed that was destroyed."""


class NoKey(Exception):
    """There is no key of this subject here, so nothing can be sealed for them."""


class OtherSecret(Rejected):
    """This replica has another secret than the one that seals by now: ask again, once it has the present one."""

    kind = ErrorKind.UNAVAILABLE


class PersonKey:
    """AES-256-GCM under the key of one subject, whose id is authenticated as well.

    The nonce follows from the text (HMAC-SHA256 under another key, cut to 96 bits), so that the same text of the same
    subject always makes the same box: a table that is made anew from the log equals the one that it replaces, and one
    nonce never serves two texts. Whoever has no key learns from it which texts of one person are the same.
    """

    __slots__ = ("_cipher", "_nonces", "_subject")

    def __init__(self, subject: UUID, secret: bytes) -> None:
        self._subject = subject
        self._cipher = AESGCM(secret)
        self._nonces = hmac.digest(secret, _NONCES, "sha256")

    def seal(self, text: str) -> Box:
        clear = text.encode()
        nonce = hmac.digest(self._nonces, clear, "sha256")[:_NONCE]
        inside = nonce + self._cipher.encrypt(nonce, clear, self._subject.bytes)
        return {SUBJECT: str(self._subject), SEALED: b64encode(inside).decode()}

    def open(self, box: Box) -> str | None:
        """None: it was not sealed by this key."""
        try:
            inside = b64decode(box[SEALED], validate=True)
            return self._cipher.decrypt(inside[:_NONCE], inside[_NONCE:], self._subject.bytes).decode()
        except (InvalidTag, ValueError):
            return None


class Keyring(ABC):
    """The keys of one process, of all its transactions: where they are kept, and those that were opened lately."""

    is_auth: ClassVar[bool] = False
    """Whether keys are made here. Elsewhere nothing waits for one: without it an event leaves a text out, and a row
    keeps what came in the clear."""

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, tuple[PersonKey, datetime]] = OrderedDict()
        self._lock = Lock()

    @abstractmethod
    def load(self, work: Work, subjects: Sequence[UUID]) -> Iterable[tuple[UUID, bytes]]:
        """The secrets of those subjects whose keys are here."""

    def make(self, work: Work, subject: UUID) -> tuple[bytes, Change]:
        """A new key, and the row that keeps it. Raises NoKey: no keys are made here, or there was one."""
        raise NoKey(subject)

    def serve(self, work: Work) -> None:
        """Let a transaction seal and open."""
        # Weakly: each would keep the other, with all that was decided, until garbage is looked for.
        work.seals = keys = Keys(self, proxy(work))
        work.codec = Codec(keys)

    def known(self, subject: UUID, now: datetime) -> PersonKey | None:
        with self._lock:
            key, until = self._known.get(subject, (None, now))
            if key is None or not now < until <= now + _KNOWN_FOR:
                return None
            self._known.move_to_end(subject)
            return key

    def remember(self, subject: UUID, key: PersonKey, now: datetime) -> None:
        with self._lock:
            self._known[subject] = key, now + _KNOWN_FOR
            self._known.move_to_end(subject)
            while len(self._known) > _KNOWN:
                self._known.popitem(last=False)

    def forget(self, subject: UUID) -> None:
        """It is read again before it is used."""
        with self._lock:
            self._known.pop(subject, None)


def served(work: Work, keyring: Keyring | None) -> Work:
    """The same transaction, with the keys of whoever holds some."""
    if keyring is not None:
        keyring.serve(work)
    return work


@dataclass(slots=True)
class Keys:
    """What a transaction seals and opens with. A key that it makes is nobody else's before it is committed."""

    ring: Keyring
    work: Work
    made: list[Change] = field(default_factory=list)
    """The rows of keys that were made here."""
    _own: dict[UUID, PersonKey | None] = field(default_factory=dict)
    """Made here, or not to be had (None)."""

    def know(self, subjects: Iterable[UUID]) -> None:
        """Fetch what of these keys is not known yet, at once."""
        now = self.work.now
        missing = []
        for subject in sorted(set(subjects) - self._own.keys()):
            if (known := self.ring.known(subject, now)) is None:
                missing.append(subject)
            else:
                # Kept here too: what the others bring may push it out before it is used.
                self._own[subject] = known
        if not missing:
            return
        self._own |= dict.fromkeys(missing)
        for subject, secret in self.ring.load(self.work, missing):
            key = self._own[subject] = PersonKey(subject, secret)
            self.ring.remember(subject, key, now)

    def key(self, subject: UUID) -> PersonKey | None:
        if subject in self._own:
            return self._own[subject]
        key = self.ring.known(subject, self.work.now)
        if key is None:
            self.know((subject,))
            key = self._own[subject]
        return key

    def seal(self, subject: UUID, text: str) -> Box:
        """Under the subject's key, which is made where there was none. Raises NoKey."""
        key = self.key(subject)
        if key is None:
            secret, row = self.ring.make(self.work, subject)
            self.made.append(row)
            key = self._own[subject] = PersonKey(subject, secret)
        return key.seal(text)

    def seal_if(self, subject: UUID, text: str) -> Box | None:
        """As `seal`; None: no key is made here, and none has come yet."""
        return self.seal(subject, text) if self.ring.is_auth or self.key(subject) is not None else None

    def unseal(self, box: Box) -> str | None:
        """The text inside; None: its key was destroyed, or is not here."""
        try:
            key = self.key(subject_of(box))
        except (KeyError, ValueError, TypeError, AttributeError):
            return None
        return None if key is None else key.open(box)

    def sealer(self, event: Envelope[Any]) -> Callable[[str], Box | None]:
        """Under the key of the one whom the event is about."""
        subject = event.data.whose
        return lambda text: self.seal_if(subject, text)

    def forget(self, subject: UUID) -> None:
        """Its row goes, or has become another one."""
        self._own.pop(subject, None)
        self.ring.forget(subject)
