"""What people ask of the API while they work: a mix of which four fifths read, and nothing that would be refused."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import quote

MIX: Mapping[str, int] = {
    "list: newest": 130,
    "list: open": 90,
    "list: mine": 70,
    "list: team and priority": 50,
    "list: further pages": 50,
    "list: words": 40,
    "count": 50,
    "one incident": 110,
    "timeline": 50,
    "on call: everybody": 50,
    "on call: of a schedule": 40,
    "me": 30,
    "seen before": 40,
    "acknowledge": 70,
    "resolve": 40,
    "note": 60,
    "create": 25,
    "override": 5,
}
"""Of a thousand requests; "seen before" asks again for what was answered last, with its ETag."""
WRITES = frozenset({"acknowledge", "resolve", "note", "create", "override"})
BARE: Mapping[str, int] = {"page": 1000}
"""All that the reference knows."""
_WORDS = ("disk", "kafka", "checkout", "unicorn")
_STATUSES = ("created", "acknowledged", "escalated")
_KEPT = 200
"""Incidents of a team that its people look at."""


@dataclass(slots=True)
class Team:
    """What its people know in common; of incidents only what they may do is ever done."""

    id: str
    schedule: str
    fresh: deque[str]
    """Nobody has acknowledged them."""
    looked_at: deque[str]
    taken: deque[str] = field(default_factory=deque)

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Self:
        fresh = deque[str](made["incidents"])
        return cls(made["id"], made["schedule"], fresh, deque([*made["old"], *fresh], maxlen=_KEPT))


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it is written; `about`: the incident, or the override, that it is about."""

    kind: str
    method: str
    path: str
    request: bytes
    good: tuple[int, ...]
    about: str = ""


class Visitor:
    """One person. `mix`: kinds of requests by how often they come."""

    def __init__(
        self, person: Mapping[str, Any], team: Team | None, mix: Mapping[str, int], chance: random.Random
    ) -> None:
        self._me, self._override, self._chance = person["id"], "", chance
        self._team = team or Team("", "", deque(), deque())
        self._kinds, self._weights = list(mix), list(mix.values())
        self._seen: tuple[str, str] | None = None
        lines = {
            "Host": "pager.test",
            "Authorization": f"Bearer {person['token']}",
            "X-Forwarded-For": person["address"],
            "User-Agent": "pager-bench",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        self._head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())

    def next(self) -> Ask:
        """What they ask now."""
        kind = self._chance.choices(self._kinds, self._weights)[0]
        if kind in _READS:
            return self._read(kind, _READS[kind](self))
        if kind == "seen before" and self._seen is not None:
            path, etag = self._seen
            return self._ask(kind, "GET", path, (200, 304), head=f"If-None-Match: {etag}\r\n")
        if kind in ("create", "override"):
            return self._create() if kind == "create" else self._cover()
        return self._act(kind)

    def sees(self, ask: Ask) -> str:
        """Who gets the same answer to it: they alone, or their team."""
        return self._me if "me" in ask.path.replace("=", "/").replace("&", "/").split("/") else self._team.id

    def heard(self, ask: Ask, status: int, etag: str, body: bytes) -> None:
        """The answer to the last request."""
        if ask.method == "GET" and status == 200 and etag:
            self._seen = (ask.path, etag)
        elif ask.kind == "create" and status == 201:
            made = json.loads(body)["data"]["incident"]["id"]
            self._team.fresh.append(made)
            self._team.looked_at.append(made)
        elif ask.kind == "acknowledge" and status == 200 and ask.about:
            self._team.taken.append(ask.about)
        elif ask.kind == "override":
            self._override = json.loads(body)["data"]["override"]["id"] if status == 201 else ""

    def _ask(
        self,
        kind: str,
        method: str,
        path: str,
        good: tuple[int, ...],
        body: Mapping[str, Any] | None = None,
        head: str = "",
        about: str = "",
    ) -> Ask:
        raw = b"" if body is None else json.dumps(body).encode()
        length = "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        written = f"{method} /api/v1{path} HTTP/1.1\r\n{self._head}{head}{length}\r\n".encode() + raw
        return Ask(kind, method, path, written, good, about)

    def _read(self, kind: str, path: str) -> Ask:
        return self._ask(kind, "GET", path, (200,))

    def _act(self, kind: str) -> Ask:
        """On an incident that is in the right state; where there is none, they look at the list."""
        team = self._team
        if kind == "acknowledge" and team.fresh:
            one = team.fresh.popleft()
            return self._ask(kind, "POST", f"/incidents/{one}/acknowledge", (200,), {}, about=one)
        if kind == "resolve" and team.taken:
            one = team.taken.popleft()
            return self._ask(kind, "POST", f"/incidents/{one}/resolve", (200,), {"notes": "it was the disk"}, about=one)
        if kind == "note" and (team.taken or team.fresh):
            one = self._chance.choice(team.taken or team.fresh)
            return self._ask(kind, "POST", f"/incidents/{one}/notes", (201,), {"text": "looking at it"})
        return self._read("list: newest", "/incidents")

    def _create(self) -> Ask:
        body = {"title": "checkout is slow", "description": "p99 is 2 s", "priority": "high", "teamId": self._team.id}
        return self._ask("create", "POST", "/incidents", (201,), body)

    def _cover(self) -> Ask:
        """They take over for an hour, and give it back the next time."""
        where = f"/on-call/schedules/{self._team.schedule}/overrides"
        if self._override:
            return self._ask("override", "DELETE", f"{where}/{self._override}", (200,))
        begin = datetime.now(UTC) + timedelta(minutes=self._chance.randrange(1, 600))
        times = {"startTime": begin.isoformat(), "endTime": (begin + timedelta(hours=1)).isoformat()}
        return self._ask("override", "POST", where, (201,), {"userId": self._me, **times})

    def _any(self) -> str:
        return self._chance.choice(self._team.looked_at)

    def _choice(self, *of: str) -> str:
        return self._chance.choice(of)


_READS: Mapping[str, Callable[[Visitor], str]] = {
    "page": lambda me: "/page",
    "list: newest": lambda me: "/incidents",
    "list: open": lambda me: f"/incidents?status={me._choice(*_STATUSES)}",
    "list: mine": lambda me: f"/incidents?assigned_to=me&status={me._choice(*_STATUSES)}",
    "list: team and priority": lambda me: (
        f"/incidents?teamId={me._team.id}&priority={me._choice('high', 'low')}&sort=-updatedAt"
    ),
    "list: further pages": lambda me: f"/incidents?page={me._choice('2', '3', '4', '5')}",
    "list: words": lambda me: f"/incidents?q={quote(me._choice(*_WORDS))}",
    "count": lambda me: f"/incidents?limit=1&fields=id&status={me._choice(*_STATUSES)}",
    "one incident": lambda me: f"/incidents/{me._any()}",
    "timeline": lambda me: f"/incidents/{me._any()}/timeline",
    "on call: everybody": lambda me: "/on-call",
    "on call: of a schedule": lambda me: f"/on-call/current?scheduleId={me._team.schedule}",
    "me": lambda me: "/users/me",
}
