"""The key of each person (or of whatever else personal texts are about): a row, and never an event (docs/adr/0058).

A subject is a person's id, an invite's, whose address nobody has yet, or any other id that a fact names. Its key is
made where its first text is sealed, in that transaction, and kept under the master key. `keys_of(work)` is what a
transaction seals and opens with:

    box = keys_of(work).seal(subject, "Ana")
    text = keys_of(work).unseal(box)         # None: its key was destroyed
    destroy(work, subject)

Events and the columns that are `PersonalText` are sealed and opened by themselves.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from typing import cast
from uuid import UUID

import structlog

from libs.chassis.store.changes import Added, Change, Row
from libs.chassis.store.keyring import KEY_BYTES, Keyring, Keys, NoKey, OtherSecret
from libs.chassis.store.work import Work
from libs.contracts.person_keys import PersonKeys
from services.auth.master_keys import is_left_behind, sealing
from services.auth.queries import SUBJECT_KEYS, SUBJECTS_GONE
from services.auth.sealing import Seal, WrongKey
from services.auth.tables.keys import subject_keys

_log = structlog.get_logger()


class SubjectKeys(Keyring):
    """Auth's keyring. `look_up_key` is known once what is sealed was opened (`sealed.py`)."""

    is_auth = True

    def __init__(self, seal: Seal) -> None:
        super().__init__()
        self.seal = seal
        self.look_up_key: Callable[[], bytes] = _not_prepared
        self._told: set[str | None] = set()
        """By which master keys something is sealed of which it was said that it is not opened here."""

    def load(self, work: Work, subjects: Sequence[UUID]) -> Iterable[tuple[UUID, bytes]]:
        """Raises OtherSecret: another master key seals by now, and what this one cannot open others can."""
        for row in work.fetch(SUBJECT_KEYS, ids=list(subjects)):
            subject, name = row["subject"], row["sealed_by"]
            try:
                yield subject, self.seal.open(sealing_name(subject), bytes(row["sealed"]))
            except WrongKey:
                if name not in self._told:
                    self._told.add(name)
                    _log.error("no master key that is given here opens keys of persons", sealed_by=name)
                if is_left_behind(work, self.seal):
                    raise OtherSecret from None

    def make(self, work: Work, subject: UUID) -> tuple[bytes, Change]:
        """What is about somebody whose key was destroyed, or cannot be opened, is kept nowhere.

        Raises:
            NoKey: there was one.
            OtherSecret: another master key seals by now.
        """
        if work.fetch(SUBJECTS_GONE, ids=[subject]):
            raise NoKey(subject)
        secret = secrets.token_bytes(KEY_BYTES)
        by = sealing(work, self.seal)
        sealed = self.seal.close(sealing_name(subject), secret, by)
        row = {"subject": subject, "sealed": sealed, "sealed_by": by, "made_at": work.now}
        # Not a row that replaces another: of two that make one at once the second fails, and finds the first one's.
        return secret, Added(subject_keys, row)

    def hashed(self, text: bytes) -> bytes:
        """Under which something is looked up that is stored sealed: an HMAC, under a key that is there for it alone."""
        return hmac.digest(self.look_up_key(), text, "sha256")


def sealing_name(subject: UUID) -> str:
    """Under which a key is sealed, so that none opens as another's."""
    return f"subject/{subject}"


def keys_of(work: Work) -> Keys:
    """What auth's transactions seal and open with."""
    return cast("Keys", work.seals)


def hashed(work: Work, text: str | bytes) -> bytes:
    """What a text is looked up by."""
    ring = cast("SubjectKeys", keys_of(work).ring)
    return ring.hashed(text.encode() if isinstance(text, str) else text)


def keys_for(work: Work, subjects: Sequence[UUID]) -> PersonKeys:
    """For a service that keeps them itself."""
    found = keys_of(work).ring.load(work, subjects)
    return PersonKeys(keys={subject: b64encode(secret).decode() for subject, secret in found})


def destroy(work: Work, subject: UUID) -> None:
    """Nobody ever reads again what was sealed for this subject, and nothing more is.

    Replicas that have just opened something of theirs may for five minutes more, from memory.
    """
    work.put(Row(subject_keys, {"subject": subject, "sealed": None, "sealed_by": None, "destroyed_at": work.now}))
    keys_of(work).forget(subject)


def _not_prepared() -> bytes:
    raise RuntimeError("what is sealed was not opened yet")
