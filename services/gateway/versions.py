"""Versions of the API: by path, by `Accept` or by `X-API-Version`; and how one is announced to end (docs/api.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway import accepting
from services.gateway.edge import trace_of
from services.gateway.envelope import Problem, failure

HEADER: Final = "X-API-Version"
MOVED: Final = "pager.moved"
"""In the scope of a request whose own path names no version."""
_PATH = re.compile(r"/api/v([0-9]{1,4})(/.*|$)", re.DOTALL)
_GIVEN = re.compile(r"v?([0-9]{1,4})", re.IGNORECASE)
_OF_NO_VERSION: Final = ("health", "metrics", "docs", "docs-json")
"""First parts of paths under `/api` that every version shares."""


@dataclass(frozen=True, slots=True)
class Deprecated:
    """Something that will be gone: since when it is said, when it ends, and the page that says what comes instead."""

    since: datetime
    sunset: datetime
    link: str

    @property
    def headers(self) -> Mapping[str, str]:
        """RFC 9745 and RFC 8594."""
        return {
            "Deprecation": f"@{int(self.since.timestamp())}",
            "Sunset": format_datetime(self.sunset, usegmt=True),
            "Link": f'<{self.link}>; rel="deprecation"; type="text/html"',
        }


VERSIONS: Final[Mapping[int, Deprecated | None]] = {1: None}
"""Those that there are, and those of them that will end: a version lives for two years after the next one."""
OPERATIONS: Final[Mapping[str, Deprecated]] = {}
"""By their ids those that will end though their version goes on: six months after it is said."""


class Versions:
    """Gives every path under `/api` the version that its caller asks for; without a word the newest.

    A version that there is not, or two that contradict each other, are a 406 that says which there are.
    """

    def __init__(self, app: ASGIApp, versions: Mapping[int, Deprecated | None] | None = None) -> None:
        self.app = app
        self.versions = VERSIONS if versions is None else versions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if not path.startswith("/api/") or path.split("/", 3)[2] in _OF_NO_VERSION:
            await self.app(scope, receive, send)
            return
        by_path = _PATH.fullmatch(path)
        try:
            version = self._asked(None if by_path is None else int(by_path[1]), Headers(scope=scope))
        except Problem as problem:
            if scope["type"] != "http":
                raise  # a handshake is answered by its own door (`streaming/door.py`)
            await failure(problem)(scope, receive, send)
            return
        if scope["type"] == "http":
            trace = trace_of(scope)
            trace.headers[HEADER] = str(version)
            if (deprecated := self.versions.get(version)) is not None:
                trace.headers.update(deprecated.headers)
        if by_path is None:
            scope = _moved(scope, version)
        await self.app(scope, receive, send)

    def _asked(self, by_path: int | None, headers: Headers) -> int:
        """Raises Problem."""
        by_header = {_read(value) for value in headers.getlist(HEADER)}
        if len(by_header) > 1 or not by_header <= self.versions.keys():
            raise self._unknown(HEADER)
        accepted = accepting.wanted(headers.getlist("accept"))
        named = {int(found[1]) for found in map(accepting.VENDOR.fullmatch, accepted) if found is not None}
        known = named & self.versions.keys()
        if named and not known and not any(accepting.covers(one, accepting.JSON) for one in _without_ours(accepted)):
            raise self._unknown("Accept")
        # What is accepted may be several versions, of which the path or the other header names one.
        asked = ({by_path} if by_path in self.versions else set()) | by_header
        if len(asked) > 1 or (asked and known and not asked <= known):
            raise Problem("NOT_ACCEPTABLE", "path and headers name different versions", field=HEADER)
        return next(iter(asked), None) or max(known or self.versions)

    def _unknown(self, header: str) -> Problem:
        there_are = ", ".join(f"v{version}" for version in self.versions)
        return Problem("NOT_ACCEPTABLE", f"there is no such version of the API: there is {there_are}", field=header)


def _without_ours(accepted: Iterable[str]) -> Iterable[str]:
    return (one for one in accepted if accepting.VENDOR.fullmatch(one) is None)


def _read(value: str) -> int | None:
    given = _GIVEN.fullmatch(value.strip())
    return None if given is None else int(given[1])


def _moved(scope: Scope, version: int) -> Scope:
    """The same request under the path of a version."""
    prefix = f"/api/v{version}"
    raw: bytes | None = scope.get("raw_path")
    moved = {**scope, "path": prefix + scope["path"].removeprefix("/api"), MOVED: True}
    if raw is not None and raw.startswith(b"/api"):
        moved["raw_path"] = prefix.encode() + raw.removeprefix(b"/api")
    return moved
