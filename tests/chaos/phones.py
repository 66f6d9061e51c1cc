"""What the phones got: the push simulators' record, followed as it grows."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import aiohttp

PAGE = "page"
_LIMIT = 5000


@dataclass(frozen=True, slots=True)
class Push:
    """One push as a vendor received it; `at` in Unix seconds, `intent` is `apns-id` or `data.notificationId`."""

    number: int
    incident_id: str
    push_token: str
    intent: str
    kind: str
    level: int
    status: int
    at: float


@dataclass
class Phones:
    """Follows `GET /pushes` of the simulators; `on_page` is called once for each first page of an alert."""

    url: str
    tag: str
    on_page: Callable[[Push], None] = lambda push: None
    pushes: list[Push] = field(default_factory=list)
    first_page: dict[int, Push] = field(default_factory=dict)
    """By the number of the alert."""
    _after: int = 0

    async def run(self) -> None:
        """Follow for ever."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            while True:
                query = f"after={self._after}&limit={_LIMIT}&wait=1"
                async with http.get(f"{self.url}/pushes?{query}") as answer:
                    answer.raise_for_status()
                    for raw in await answer.json():
                        self._after = raw["id"]
                        self._take(raw)
                await asyncio.sleep(0.01)

    def _take(self, raw: dict[str, Any]) -> None:
        push = read_push(raw, self.tag)
        if push is None:
            return
        self.pushes.append(push)
        if push.kind == PAGE and push.number not in self.first_page:
            self.first_page[push.number] = push
            self.on_page(push)

    def first_of_alerts_from(self, number: int, since: float) -> float | None:
        """When the first page about an alert of that number or a later one came, looking at pages since `since`."""
        start = bisect_left(self.pushes, since, key=lambda push: push.at)
        found = (p.at for p in self.pushes[start:] if p.kind == PAGE and p.number >= number)
        return min(found, default=None)

    def longest_silence(self, begin: float, end: float) -> float:
        """Seconds between two pages one after the other, or an edge of the stretch."""
        moments = sorted(p.at for p in self.pushes if p.kind == PAGE and begin <= p.at <= end)
        edges = [begin, *moments, end]
        return max(later - earlier for earlier, later in pairwise(edges))


def read_push(raw: dict[str, Any], tag: str) -> Push | None:
    """None for a push that is not about an alert of this run."""
    payload = raw["payload"]
    if raw["provider"] == "apns":
        title, about, intent = payload["aps"]["alert"]["title"], payload, raw["headers"]["apns-id"]
    else:
        about = payload["message"]["data"]
        title, intent = about["title"], about["notificationId"]
    words = title.split()
    if tag not in words:
        return None
    at = datetime.fromisoformat(raw["receivedAt"]).timestamp()
    return Push(
        number=int(words[words.index(tag) + 1]),
        incident_id=about["incidentId"],
        push_token=raw["deviceToken"],
        intent=intent,
        kind=about["kind"],
        level=int(about["level"]),
        status=raw["status"],
        at=at,
    )
