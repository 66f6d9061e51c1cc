"""Codes: those of an authenticator app (TOTP, RFC 6238), and those for whoever has lost theirs."""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from datetime import datetime
from hashlib import sha256
from typing import Final
from uuid import UUID

import pyotp

STEP: Final = 30
"""Seconds that a code lasts."""
DRIFT: Final = 1
"""Steps by which a phone's clock may be off, either way."""
RECOVERY_CODES: Final = 10
_ISSUER: Final = "Pager"
_RECOVERY_BYTES: Final = 10
_TOTP = re.compile(r"[0-9]{6}")
_RECOVERY = re.compile(r"[A-Z2-7]{16}")
_GROUPS = re.compile(r"[\s-]+", re.ASCII)


def new_secret() -> str:
    """160 random bits in base32, as apps take them (RFC 4226, section 4)."""
    return pyotp.random_base32()


def uri(secret: str, email: str) -> str:
    """What an app reads from a QR code: `otpauth://totp/Pager:<address>?secret=…&issuer=Pager`."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(email, issuer_name=_ISSUER)


def plain(code: str) -> str:
    """However it is grouped."""
    return _GROUPS.sub("", code).upper()


def step_of(secret: str, code: str, used_step: int | None, now: datetime) -> int | None:
    """The step whose code this is, after `used_step`; None: it is none that is good now.

    A used step that lies ahead of all that could be good was counted by a clock that was set back since: by it nobody
    would sign in until then.
    """
    if not _TOTP.fullmatch(code):
        return None
    present, totp = int(now.timestamp()) // STEP, pyotp.TOTP(secret, interval=STEP)
    used = -1 if used_step is None or used_step > present + DRIFT else used_step
    good = [
        step
        for step in range(max(0, present - DRIFT), present + DRIFT + 1)
        if hmac.compare_digest(totp.generate_otp(step), code) and step > used
    ]
    return good[0] if good else None


def new_recovery_codes() -> tuple[str, ...]:
    """80 random bits each, which nobody tries out: four groups of four."""
    made = (b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode("ascii").lower() for _ in range(RECOVERY_CODES))
    return tuple("-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in made)


def is_recovery_code(code: str) -> bool:
    """Whether it has the form of one."""
    return _RECOVERY.fullmatch(code) is not None


def recovery_hash(user_id: UUID, code: str) -> bytes:
    # 80 random bits need no slow hash; with the person's id a table of all of them is searched for each.
    return sha256(user_id.bytes + plain(code).encode()).digest()
