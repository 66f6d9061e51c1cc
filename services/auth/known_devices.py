"""Devices that somebody has signed in on, known by their keys: they come before strangers, and get nothing else by it.

A key stays known when its device is signed out, so that whoever guesses at an account keeps nobody from signing in
again on their own phone.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.work import Work
from services.auth.proofs import Jwk, thumbprint
from services.auth.queries import KNOWN_KEY, KNOWN_KEYS_OF
from services.auth.tables.sessions import known_keys

KNOWN: Final = timedelta(days=90)
"""Since the last sign-in."""
MOST: Final = 20
"""Of one person, the last ones."""
_NOBODY: Final = UUID(int=0)


def is_known(work: Work, user_id: UUID | None, key: Jwk) -> bool:
    """`user_id` None: nobody has the account, which takes as long."""
    rows = work.fetch(KNOWN_KEY, user_id=user_id or _NOBODY, thumbprint=thumbprint(key))
    return bool(rows) and bool(rows[0]["forget_at"] > work.now)


def remember(work: Work, user_id: UUID, device_id: str, key: Jwk) -> None:
    """Somebody has signed in with this key; their row is locked."""
    name = thumbprint(key)
    others = [row for row in work.fetch(KNOWN_KEYS_OF, user_id=user_id) if bytes(row["thumbprint"]) != name]
    for row in others[: max(0, len(others) + 1 - MOST)]:
        _forget(work, user_id, bytes(row["thumbprint"]))
    row = {"user_id": user_id, "thumbprint": name, "device_id": device_id, "forget_at": work.now + KNOWN}
    work.put(Row(known_keys, row))


def forget(work: Work, user_id: UUID, device_id: str) -> None:
    """Somebody else may have the device."""
    for row in work.fetch(KNOWN_KEYS_OF, user_id=user_id):
        if row["device_id"] == device_id:
            _forget(work, user_id, bytes(row["thumbprint"]))


def _forget(work: Work, user_id: UUID, name: bytes) -> None:
    work.put(Gone(known_keys, {"user_id": user_id, "thumbprint": name}))
