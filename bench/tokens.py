"""`python -m bench.tokens`: what checking an access token costs, first and again, as JSON (microseconds).

The reference is the same signature checked by the library alone, in the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import KeySet as JwkSet

from libs.chassis.clock import SystemClock
from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.sessions import EndedSessions
from libs.contracts.auth import KeySet, UserView
from libs.contracts.model import Role
from services.auth.tokens import AccessTokens, SigningKey

if TYPE_CHECKING:
    from libs.chassis.bus.connection import Bus


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.tokens", description=__doc__)
    parser.add_argument("--tokens", type=int, default=2000)
    print(json.dumps(asyncio.run(_measure(parser.parse_args().tokens)), indent=2))


async def _measure(count: int) -> dict[str, Any]:
    clock, key = SystemClock(), SigningKey.generate()

    async def signing() -> SigningKey:
        return key

    async def keys() -> KeySet:
        return KeySet(keys=(key.public_jwk,))

    sessions = EndedSessions("bench", cast("Bus", None), clock)  # nothing is followed here
    sessions.caught_up.set()
    verifier = Verifier(keys, clock, sessions)
    issuer = AccessTokens(signing, timedelta(minutes=15))
    person = UserView(
        id=uuid4(), email="ana@pager.test", first_name="Ana", last_name="Tester", roles=(Role.USER, Role.LEAD),
        created_at=clock.now(), updated_at=clock.now(),
    )  # fmt: skip
    tokens = [await issuer.issue(person, uuid4(), "phone", clock.now()) for _ in range(count)]
    jwks = JwkSet.import_key_set({"keys": [key.public_jwk]})

    async def library(token: str) -> None:
        jwt.decode(token, jwks, algorithms=["RS256"])

    await verifier.verify(await issuer.issue(person, uuid4(), "phone", clock.now()))
    reference = await _each(tokens, library)
    first = await _each(tokens, verifier.verify)
    again = await _each(tokens, verifier.verify)
    return {"tokens": count, "bytes": len(tokens[0]), "library": reference, "first": first, "again": again}


async def _each(tokens: list[str], check: Callable[[str], Coroutine[Any, Any, Any]]) -> dict[str, float]:
    taken = []
    for token in tokens:
        began = time.perf_counter()
        await check(token)
        taken.append((time.perf_counter() - began) * 1e6)
    taken.sort()
    return {"p50": round(median(taken), 1), "p95": round(taken[int(len(taken) * 0.95)], 1)}


if __name__ == "__main__":
    main()
