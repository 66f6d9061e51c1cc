"""All that is held on a person, asked of each service page by page and sent on as it comes: never much at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json

from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.subjects import SERVICES
from services.gateway.envelope import Problem
from services.gateway.forwarding import Ask

LISTS: Final = (
    ("auth", "devices"),
    ("auth", "sessions"),
    ("auth", "invites"),
    ("auth", "identities"),
    ("auth", "apiKeys"),
    ("auth", "deviceCredentials"),
    ("auth", "knownDevices"),
    ("auth", "countries"),
    ("auth", "requests"),
    ("oncall", "schedules"),
    ("oncall", "shifts"),
    ("escalation", "policies"),
    ("incidents", "incidents"),
    ("notifier", "notifications"),
)
"""Which service holds which part."""
LONGEST: Final = 600.0
"""Seconds: logs of many years are read through, two thousand events at a time."""
MOST: Final = 2
"""At a time: each keeps a place for looking things up busy in one service after the other."""
_PATIENCE: Final = 10
"""Times that a page is asked for of a service that has no room."""
PAUSE: Final = 1.0
"""Seconds between them."""


class Exports:
    """In this process's memory, so each replica of us has its own."""

    def __init__(self) -> None:
        self._under_way: dict[UUID, float] = {}
        """Until when each has its place: whoever does not read what they are sent keeps it no longer than others."""

    def check(self, person: UUID) -> None:
        """One of a person, and a few in all. Raises Problem (429)."""
        now = monotonic()
        self._under_way = {one: until for one, until in self._under_way.items() if until > now}
        if person in self._under_way or len(self._under_way) >= MOST:
            raise Problem("RATE_LIMITED", "an export is under way: try again later", headers={"Retry-After": "60"})

    @contextmanager
    def of(self, person: UUID) -> Iterator[None]:
        """Raises as `check`."""
        self.check(person)
        until = self._under_way[person] = monotonic() + LONGEST
        try:
            yield
        finally:
            if self._under_way.get(person) == until:
                del self._under_way[person]


async def document(ask: Ask, until: float) -> AsyncIterator[bytes]:
    """The data of the answer as JSON (`PersonHeld`), in pieces. Raises Problem, also in the middle."""
    (user,) = [row async for row in _rows(ask, "auth", "user", until)]
    (factor,) = [row async for row in _rows(ask, "auth", "secondFactor", until)]
    yield b'{"user":' + to_json(user) + b',"secondFactor":' + to_json(factor)
    for service, part in LISTS:
        yield b',"' + part.encode() + b'":'
        async for piece in _list(ask, service, part, until):
            yield piece
    yield b',"history":{'
    for number, service in enumerate(SERVICES):
        yield (b"," if number else b"") + b'"' + service.encode() + b'":'
        async for piece in _list(ask, service, "history", until):
            yield piece
    yield b"}}"


async def _list(ask: Ask, service: str, part: str, until: float) -> AsyncIterator[bytes]:
    before = b"["
    async for row in _rows(ask, service, part, until):
        yield before + to_json(row)
        before = b","
    yield b"]" if before == b"," else b"[]"


async def _rows(ask: Ask, service: str, part: str, until: float) -> AsyncIterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = await _page(ask, service, ExportQuery(part=part, cursor=cursor), until)
        for row in page.rows:
            yield row
        if (cursor := page.next_cursor) is None:
            return


async def _page(ask: Ask, service: str, query: ExportQuery, until: float) -> ExportPage:
    for left in reversed(range(_PATIENCE)):
        if monotonic() > until:
            raise Problem("UNAVAILABLE", "this took too long", headers={"Retry-After": "60"})
        try:
            return ExportPage.model_validate(await ask.query(service, "export", query))
        except Problem as problem:
            if not left or problem.code != "UNAVAILABLE":
                raise
            await asyncio.sleep(PAUSE)
    raise AssertionError  # the last one has raised
