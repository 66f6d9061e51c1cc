"""CAPTCHAs without anybody else's service: a task that costs a browser some seconds, and strangers as many for each
guess (ALTCHA, a proof of work). Nothing is kept of one until it is solved."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import altcha

from libs.chassis.clock import Clock
from libs.chassis.store.changes import Row
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import CaptchaChallenge
from libs.contracts.requests import ErrorKind, NotFound, Unauthenticated
from services.auth.queries import CAPTCHA
from services.auth.tables.passwords import captchas

LASTS: Final = timedelta(minutes=10)
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart."""
_ALGORITHM: Final = "PBKDF2/SHA-256"
_ROUNDS: Final = 1000
"""Of each try, and of our one to check it: a third of a millisecond."""
_PREFIX: Final = "000"
"""In hexadecimal: 4096 tries on the average, some seconds of a telephone."""


class CaptchaWanted(Unauthenticated):
    """Many wrong passwords were tried for this account: solve details.captcha, and sign in with that as captcha."""

    kind = ErrorKind.CAPTCHA_REQUIRED


@dataclass(frozen=True)
class Captchas:
    """`key`: by which we know those that we have made."""

    store: Store
    clock: Clock
    key: Callable[[], bytes]
    is_on: bool
    prefix: str = _PREFIX

    def challenge(self) -> CaptchaChallenge:
        """Another one. Raises NotFound where none are asked for."""
        if not self.is_on:
            raise NotFound("no captchas are asked for here")
        made = altcha.create_challenge(
            _ALGORITHM,
            _ROUNDS,
            key_prefix=self.prefix,
            expires_at=self.clock.now() + LASTS,
            hmac_secret=self.key(),
        )
        return CaptchaChallenge.model_validate(made.to_dict())

    async def asked(self, solved: str | None) -> bool:
        """Whether one is asked for; it is used up by this. Raises CaptchaWanted, with another one to solve."""
        if not self.is_on:
            return False
        signature = None if solved is None else self._signature(solved)
        if signature is None or not (await self.store.transact(lambda work: self._spent(work, signature))).result:
            raise CaptchaWanted(details={"captcha": self.challenge().model_dump(mode="json", by_alias=True)})
        return True

    def _signature(self, solved: str) -> str | None:
        """By which a challenge of ours is known, if this solves one that still lasts."""
        try:
            challenge: dict[str, Any] = json.loads(b64decode(solved, validate=True))["challenge"]
            expires_at = challenge["parameters"]["expiresAt"]
            if not altcha.verify_solution(solved, self.key()).verified:
                return None
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        # What is signed is ours: its clock may be another replica's. The library looks at this machine's.
        left = expires_at - self.clock.now().timestamp()
        return str(challenge["signature"]) if 0 < left <= (LASTS + _APART).total_seconds() else None

    def _spent(self, work: Work, signature: str) -> bool:
        """Whether this is the first time."""
        hashed = sha256(signature.lower().encode()).digest()
        work.lock(f"pager/auth/captcha/{hashed.hex()}")
        if work.fetch(CAPTCHA, hash=hashed):
            return False
        work.put(Row(captchas, {"hash": hashed, "forget_at": work.now + LASTS + 2 * _APART}))
        return True
