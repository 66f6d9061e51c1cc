"""One-use codes: an app fetches its session with one, and with the verifier that nobody else knows."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.oidc import OidcToken
from libs.contracts.requests import Unauthenticated
from services.auth import device_credentials, entities
from services.auth.domain.sessions import EndSession
from services.auth.oidc.pending import Pending, challenge_of
from services.auth.queries import OIDC_CODE, OIDC_CODE_LOCKED, OIDC_CODES_OF
from services.auth.tables.sessions import oidc_codes
from services.auth.tokens import same

LASTS: Final = timedelta(seconds=60)
_REMEMBERED: Final = timedelta(hours=1)
"""So long after its use a code that is shown again ends what it has begun."""
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart."""


class BadCode(Unauthenticated):
    """This code was used, has expired, or was made for another app: sign in again."""

    reason = "one-use code refused"


class ShownAgain(BadCode):
    """This code was used, has expired, or was made for another app: sign in again."""

    reason = "one-use code shown again"

    def __init__(self, user_id: UUID) -> None:
        super().__init__()
        self.user_id = user_id


class Left(BadCode):
    """This code was used, has expired, or was made for another app: sign in again."""

    reason = "deactivated"


def issue(work: Work, user_id: UUID, pending: Pending, *, several_factors: bool) -> str:
    """For one person there is one: whoever signs in again has lost the one before."""
    entities.lock_user(work, user_id)
    for row in work.fetch(OIDC_CODES_OF, user_id=user_id):
        is_theirs = row["device_id"] == pending.device_id and row["session_id"] is None
        if is_theirs or row["expires_at"] <= work.now:
            work.put(Gone(oidc_codes, {"hash": bytes(row["hash"])}))
    code = secrets.token_urlsafe(32)
    row = {
        "hash": _hashed(code),
        "user_id": user_id,
        "device_id": pending.device_id,
        "code_challenge": pending.code_challenge,
        "several_factors": several_factors,
        "expires_at": work.now + LASTS,
        "session_id": None,
    }
    work.put(Row(oidc_codes, row))
    return code


def shown(work: Work, body: OidcToken) -> dict[str, Any] | BadCode:
    """The row of a code, whose person is locked; it is still good. One that somebody else shows is good no longer.

    One that was used ends the session that it has begun, whoever shows it again: somebody else has it too
    (RFC 6749, 4.1.2).
    """
    if not (rows := work.fetch(OIDC_CODE, hash=_hashed(body.code))):
        return _again(work, body)
    entities.lock_user(work, rows[0]["user_id"])  # before the row, as whoever issues another one does
    if not (rows := work.fetch(OIDC_CODE_LOCKED, hash=_hashed(body.code))):
        return _again(work, body)  # it was used a moment ago
    row = rows[0]
    is_theirs = same(challenge_of(body.code_verifier).encode(), row["code_challenge"].encode())
    # Whatever clock it was made by, it does not last longer than it should.
    if is_theirs and body.device_id in (None, row["device_id"]) and _lasts(row, work):
        return row
    work.put(Gone(oidc_codes, {"hash": bytes(row["hash"])}))
    return BadCode()


def use(work: Work, row: dict[str, Any], code: str, session_id: UUID) -> None:
    """It is good no longer, and is remembered for as long as a thief may come late: by another hash, under which no
    release takes it for a good one."""
    used = {"hash": _used(code), "session_id": session_id, "expires_at": work.now + _REMEMBERED}
    work.put(Gone(oidc_codes, {"hash": bytes(row["hash"])}), Row(oidc_codes, row | used))


def _again(work: Work, body: OidcToken) -> BadCode:
    """A code that is none, or was used: what it has begun ends."""
    for row in work.fetch(OIDC_CODE, hash=_used(body.code)):
        entities.lock_user(work, row["user_id"])
        end = EndSession("its one-use code was shown again")
        if row["session_id"] and work.decide(entities.SESSIONS, row["session_id"], end, work.begin(entities.AUTH)):
            device_credentials.end(work, row["user_id"], only=row["device_id"])
        return ShownAgain(row["user_id"])
    return BadCode()


def _lasts(row: dict[str, Any], work: Work) -> bool:
    return bool(work.now < row["expires_at"] <= work.now + LASTS + _APART)


def _hashed(code: str) -> bytes:
    # 256 random bits need no salt and no slow hash.
    return sha256(code.encode()).digest()


def _used(code: str) -> bytes:
    return sha256(b"used " + code.encode()).digest()
