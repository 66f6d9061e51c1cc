"""Who is asking: the one place of the gateway where access tokens are checked; each service checks them again."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from libs.chassis.clock import Clock
from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller, Sessions, Verifier
from libs.contracts.auth import KeySet
from libs.contracts.requests import Rejected
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder

_log = structlog.get_logger()


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer …` header (RFC 6750, section 2.1); None when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token.isascii() and token else None


class Callers:
    """Access tokens against auth's public keys, which are asked for once and again when a key is unknown."""

    def __init__(self, forwarder: Forwarder, clock: Clock, sessions: Sessions, forged: Callable[[], None]) -> None:
        self._forwarder = forwarder
        self._verifier = Verifier(self.keys, clock, sessions, forged)
        self.follow = self._verifier.follow
        """Run it, so that a key that is over is soon refused."""

    async def keys(self) -> KeySet:
        """Auth's public keys; raises Problem 503 when auth does not answer."""
        reply = await self._forwarder.query("auth", "keys", NoRequest(), {})
        if not reply.ok and reply.error is not None:
            raise Problem.of(reply.error)
        return KeySet.model_validate(reply.data)

    async def caller(self, token: str | None) -> Caller:
        """The person behind a token.

        Raises:
            Problem: 401 for no token, one that is not valid or one whose session is over; 503 when auth's keys cannot
                be had, or when it is not known yet which sessions are over.
        """
        try:
            return await self._verifier.verify(token)
        except Problem:
            raise
        except Rejected as error:
            raise Problem.of(error.refusal()) from error
        except Exception as error:
            # A stranger's bytes may break a parser in ways that its authors did not foresee: never a 500.
            _log.info("unreadable access token", error=type(error).__name__)
            raise Problem("UNAUTHENTICATED", "the access token is not valid") from error
