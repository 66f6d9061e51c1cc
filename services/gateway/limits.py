"""How much somebody may ask for: token buckets in memory, which the gateway's replicas share (docs/adr/0072)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from libs.chassis.clock import Clock
from services.gateway.addresses import networks_of
from services.gateway.brake import WIDER
from services.gateway.envelope import Problem

KEPT: Final = 10_000
"""Buckets of each limit, those that were last used. Of people and of strangers apart: no crowd of addresses pushes out
somebody who is signed in."""
_DEBT: Final = 2
"""Times a bucket that may be owed: what was let in by several replicas before they heard of each other is paid back,
and no message from another can keep anybody out for longer than twice its time."""


class Limit(StrEnum):
    """What is counted, each by itself (technical specification, Rate Limiting)."""

    GENERAL = "general"
    """What a person or an API key asks for."""
    INCIDENTS = "incidents"
    """What a person changes of incidents; counted in `GENERAL` besides."""
    ANSWERS = "answers"
    """Acknowledging, resolving, receipts: counted nowhere else, so that nothing else can use them up."""
    PUSHES = "pushes"
    """Registrations of one device for pushes."""
    TESTS = "tests"
    """Test pages to one device."""
    REPORTS = "reports"
    """What an app tells of itself: counted nowhere else, so that one in a loop takes nothing from its person."""
    STRANGERS = "strangers"
    """Whoever is not signed in, by network."""


@dataclass(frozen=True, slots=True)
class Size:
    """`most` at once, which come back evenly within `seconds`."""

    most: int
    seconds: int
    what: str
    """That somebody may do so often, as they are told."""

    @property
    def rate(self) -> float:
        return self.most / self.seconds


SIZES: Final[dict[Limit, Size]] = {
    Limit.GENERAL: Size(1000, 60, "ask 1000 times a minute"),
    Limit.INCIDENTS: Size(100, 60, "change incidents 100 times a minute"),
    Limit.ANSWERS: Size(1000, 60, "answer 1000 times a minute"),
    Limit.PUSHES: Size(10, 3600, "register a device for pushes ten times an hour"),
    Limit.TESTS: Size(6, 3600, "test a device six times an hour"),
    Limit.REPORTS: Size(20, 60, "send reports of an app twenty times a minute"),
    Limit.STRANGERS: Size(1000, 60, "ask 1000 times a minute without signing in"),
}


@dataclass(slots=True)
class Bucket:
    """Empty when it is made: what is spent runs out of it evenly."""

    spent: float
    at: float
    """Unix seconds."""

    def run(self, size: Size, now: float) -> None:
        """A clock that is set back lets nothing out, and holds nothing up."""
        self.spent = max(0.0, self.spent - max(0.0, now - self.at) * size.rate)
        self.at = now


@dataclass(frozen=True, slots=True)
class Share:
    """One of the buckets that a request takes from; `width`: as many times its size."""

    limit: Limit
    key: str
    width: int = 1

    @property
    def size(self) -> Size:
        size = SIZES[self.limit]
        return Size(size.most * self.width, size.seconds, size.what)


@dataclass
class Limits:
    """`take(share, …)` before something is done. `enabled`: otherwise nothing is counted and nothing said."""

    clock: Clock
    enabled: bool = True
    news: dict[Share, int] = field(default_factory=dict)
    """Taken here and not told the other replicas yet."""
    _buckets: dict[Limit, OrderedDict[str, Bucket]] = field(
        default_factory=lambda: {limit: OrderedDict() for limit in Limit}
    )

    def take(self, shares: Iterable[Share]) -> dict[str, str]:
        """Count one request in all of these or, where one of them has no room, in none.

        What its answer says of the one that has the least left.

        Raises:
            Problem: 429, with when there may be another one.
        """
        found = [(share.size, self._bucket(share), share) for share in shares] if self.enabled else []
        if not found:
            return {}
        size, bucket, _ = max(found, key=lambda one: one[1].spent + 1 - one[0].most)
        if bucket.spent + 1 > size.most:
            wait = math.ceil((bucket.spent + 1 - size.most) / size.rate)
            headers = _headers(size, bucket) | {"Retry-After": str(max(1, wait))}
            raise Problem("RATE_LIMITED", f"you may {size.what}: wait a moment", headers=headers)
        for _, taken, share in found:
            taken.spent += 1
            if share in self.news or len(self.news) < KEPT:
                self.news[share] = self.news.get(share, 0) + 1
        return _headers(*min(((size, taken) for size, taken, _ in found), key=lambda one: one[0].most - one[1].spent))

    def hear(self, share: Share, count: int) -> None:
        """Another replica has let this many in."""
        if self.enabled:
            bucket = self._bucket(share)
            bucket.spent = min(bucket.spent + count, float(_DEBT * share.size.most))

    def _bucket(self, share: Share) -> Bucket:
        """As it is now, and as the newest of its kind; the oldest goes when there are too many."""
        buckets, now = self._buckets[share.limit], self.clock.now().timestamp()
        bucket = buckets.setdefault(share.key, Bucket(0.0, now))
        buckets.move_to_end(share.key)
        if len(buckets) > KEPT:
            buckets.popitem(last=False)
        bucket.run(share.size, now)
        return bucket


def of_person(limit: Limit, *names: object) -> Share:
    """A bucket of whoever, or whatever of theirs, these names are."""
    return Share(limit, _key(*names))


def of_stranger(address: str) -> list[Share]:
    """Those of the networks that an address may be one person's of: a wider one has more, as in `brake.py`."""
    return [Share(Limit.STRANGERS, _key(network), WIDER**width) for width, network in enumerate(networks_of(address))]


def _key(*names: object) -> str:
    """Neither memory nor bus holds who they are: of an address everybody could tell. A length keeps names apart."""
    text = "".join(f"{len(str(name))}:{name}" for name in names)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _headers(size: Size, bucket: Bucket) -> dict[str, str]:
    """`Reset`: in Unix seconds, when all of it is there again."""
    return {
        "X-RateLimit-Limit": str(size.most),
        "X-RateLimit-Remaining": str(max(0, math.floor(size.most - bucket.spent))),
        "X-RateLimit-Reset": str(math.ceil(bucket.at + bucket.spent / size.rate)),
    }
