"""`python -m bench.guessing`: what wrong passwords cost others, and whether they tell who has an account, as JSON.

It starts Pager behind itself as a trusted proxy, so that each attempt comes from an address of its own, and fills its
PAGER_HOME with people and wrong passwords: give it one of its own. First known and unknown accounts in turns, one
attempt at a time; then requests of somebody who is signed in, alone and beside wrong passwords at a rate, among which
somebody signs in: where they have done so before, and elsewhere on a phone that shows the key which they have signed in
with before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from ipaddress import IPv4Address
from itertools import count
from statistics import median
from typing import Any

import uvloop
from aiohttp import ClientSession
from joserfc import jwt
from joserfc.jwk import ECKey

from bench.measure import percentiles
from bench.stack import as_admin, running_pager
from libs.contracts.device_keys import PROOF_AUDIENCE, PROOF_TYPE
from pager_client import AsyncPager
from services.auth.domain.lockout import HOURLY

_PASSWORD = "Correct-Horse-7-Battery"  # noqa: S105 - of people who exist only in this benchmark
_HOME_ADDRESS = "203.0.113.9"


@dataclass
class Device:
    """A phone and its key, of which it shows proofs."""

    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))

    def shown(self, email: str) -> dict[str, Any]:
        """What it sends with a sign-in."""
        ath = urlsafe_b64encode(sha256(email.encode()).digest()).rstrip(b"=").decode()
        claims = {"aud": PROOF_AUDIENCE, "ath": ath, "jti": secrets.token_hex(16), "iat": int(time.time())}
        proof = jwt.encode({"typ": PROOF_TYPE, "alg": "ES256"}, claims, self.key)
        return {"deviceKey": self.key.as_dict(private=False), "proof": proof}


@dataclass
class Door:
    """Sign-in, from whatever address."""

    url: str
    http: ClientSession
    addresses: Iterator[int] = field(default_factory=lambda: count(secrets.randbelow(2**20)))

    async def sign_in(
        self, email: str, password: str, address: str | None = None, device: Device | None = None
    ) -> tuple[int, float]:
        """Status, and seconds until the answer."""
        body = {"email": email, "password": password, "deviceId": f"bench {'phone' if device else address}"}
        body |= device.shown(email) if device is not None else {}
        # 10.0.0.0/8 has an address for each attempt.
        headers = {"X-Forwarded-For": address or str(IPv4Address("10.0.0.0") + next(self.addresses))}
        begun = time.perf_counter()
        async with self.http.post(f"{self.url}/api/v1/auth/login", json=body, headers=headers) as answer:
            await answer.read()
        return answer.status, time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.guessing", description=__doc__)
    parser.add_argument("--tries", type=int, default=200, help="of known accounts, and as many of unknown ones")
    parser.add_argument("--rate", type=float, default=10.0, help="wrong passwords a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of requests alone, and beside these")
    given = parser.parse_args()
    os.environ["PAGER_TRUSTED_PROXIES"] = "127.0.0.1"
    os.environ["ENABLE_RATE_LIMITING"] = "false"  # one person asks for all that is measured beside
    print(json.dumps(uvloop.run(_measure(given.tries, given.rate, given.seconds)), indent=2))


async def _measure(tries: int, rate: float, seconds: float) -> dict[str, Any]:
    async with (
        running_pager(1, simulators=False) as pager,
        as_admin(pager, retries=0) as (admin, _),
        ClientSession() as http,
    ):
        door = Door(str(pager.run["gateway"]), http)
        known = await _people(admin, -(-tries // HOURLY))
        return {
            "cores": os.cpu_count(),
            "accounts": await _in_turns(door, known, tries),
            "beside": await _beside(door, admin, known, rate, seconds),
        }


async def _people(admin: AsyncPager, many: int) -> list[str]:
    """So many that none is tried more often than answers to are delayed."""
    emails = [f"{secrets.token_hex(6)}@pager.local" for _ in range(many)]
    for email in emails:
        person = {"email": email, "password": _PASSWORD, "firstName": "Bench", "lastName": "Person"}
        await admin.call("POST", "/users", person)
    return emails


async def _in_turns(door: Door, known: list[str], tries: int) -> dict[str, Any]:
    took: dict[str, list[float]] = {"known": [], "unknown": []}
    unknown = [f"{secrets.token_hex(6)}@pager.local" for _ in known]
    for number in range(tries):
        for name, emails in (("known", known), ("unknown", unknown)):
            status, seconds = await door.sign_in(emails[number % len(emails)], f"wrong {number}")
            if status != 401:
                raise SystemExit(f"a wrong password was answered {status}")
            took[name].append(seconds)
    medians = {name: median(seconds) * 1000 for name, seconds in took.items()}
    return {
        "tries": tries,
        "ms": {name: percentiles(seconds) for name, seconds in took.items()},
        "medianMs": {name: round(ms, 2) for name, ms in medians.items()},
        "mediansApartMs": round(abs(medians["known"] - medians["unknown"]), 2),
    }


async def _beside(door: Door, admin: AsyncPager, known: list[str], rate: float, seconds: float) -> dict[str, Any]:
    own = known[0]
    phone = Device()
    for known_by in (None, phone):
        status, _ = await door.sign_in(own, _PASSWORD, _HOME_ADDRESS, known_by)
        if status != 200:
            raise SystemExit(f"a right password was answered {status}")
    me, incidents = partial(admin.call, "GET", "/users/me"), partial(admin.call, "GET", "/incidents")
    alone = await _asked(seconds, me, incidents, partial(_paged_and_acknowledged, admin))
    answers: Counter[int] = Counter()
    guessing = asyncio.create_task(_guess(door, known, rate, answers))
    signed_in: dict[str, list[tuple[int, float]]] = {"atHome": [], "provenDevice": []}
    right = asyncio.create_task(_right(door, own, phone, signed_in))
    beside = await _asked(seconds, me, incidents, partial(_paged_and_acknowledged, admin))
    for task in (guessing, right):
        task.cancel()
    await asyncio.gather(guessing, right, return_exceptions=True)
    return {
        "wrongASecond": rate,
        "wrongAnswered": dict(answers),
        "requestsAloneMs": alone,
        "requestsBesideMs": beside,
        "p95Ratio": round(beside["p95"] / alone["p95"], 2),
        "rightSignIn": {
            who: {
                "ms": percentiles([seconds for status, seconds in took if status == 200]),
                "answered": dict(Counter(status for status, _ in took)),
            }
            for who, took in signed_in.items()
        },
    }


async def _right(door: Door, email: str, phone: Device, took: dict[str, list[tuple[int, float]]]) -> None:
    """In turns where they have signed in before, and on their phone, each time from another address."""
    while True:
        took["atHome"].append(await door.sign_in(email, _PASSWORD, _HOME_ADDRESS))
        await asyncio.sleep(1)
        took["provenDevice"].append(await door.sign_in(email, _PASSWORD, None, phone))
        await asyncio.sleep(1)


async def _guess(door: Door, known: list[str], rate: float, answers: Counter[int]) -> None:
    """An open loop: half of them at accounts that there are."""

    async def guess(number: int) -> None:
        email = known[number % len(known)] if number % 2 else f"nobody-{number}@pager.local"
        status, _ = await door.sign_in(email, f"wrong {number}")
        answers[status] += 1

    begun, under_way = time.perf_counter(), set[asyncio.Task[None]]()
    for number in count():
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        task = asyncio.create_task(guess(number))
        under_way.add(task)
        task.add_done_callback(under_way.discard)


async def _asked(seconds: float, *asks: Callable[[], Awaitable[object]]) -> dict[str, Any]:
    """One after the other with pauses, as people do."""
    took, until = list[float](), time.perf_counter() + seconds
    while time.perf_counter() < until:
        for ask in asks:
            begun = time.perf_counter()
            await ask()
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(0.02)
    return percentiles(took) | {"asked": len(took)}


async def _paged_and_acknowledged(admin: AsyncPager) -> None:
    made = await admin.call("POST", "/incidents", {"title": "bench", "priority": "low"})
    await admin.call("POST", f"/incidents/{made['incident']['id']}/acknowledge", {})


if __name__ == "__main__":
    main()
