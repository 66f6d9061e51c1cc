"""A gateway that says what a test wants, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from pager_client import AsyncPager, Pager

Answer = httpx.Response | Exception
URL = "https://pager.example"


def said(data: Mapping[str, Any], status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"success": True, "data": data}, headers=headers)


def refused(status: int, code: str, message: str = "no", details: Any = None, **headers: str) -> httpx.Response:
    error = {"code": code, "message": message} | ({} if details is None else {"details": details})
    return httpx.Response(status, json={"success": False, "error": error}, headers=headers)


def tokens(access: str, refresh: str, lasts: int = 900) -> dict[str, Any]:
    return {"tokens": {"accessToken": access, "refreshToken": refresh, "expiresIn": lasts}, "user": {"id": "1"}}


def _raw(answer: httpx.Response) -> bytes:
    return b"".join(answer.stream)  # type: ignore[arg-type] # made of bytes


@dataclass
class Gateway:
    """`answers`: in turn, the last one again and again; what is raised is what the connection does."""

    answers: list[Answer | Callable[[httpx.Request], Answer]]
    asked: list[httpx.Request] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    now: float = 0.0

    def pager(self, *, api_key: str | None = "pgr_key", **options: Any) -> Pager:
        pager = Pager(URL, api_key=api_key, http=httpx.Client(transport=httpx.MockTransport(self._answer)), **options)
        pager._sleep = self.waited.append
        pager._flow.clock = lambda: self.now
        return pager

    def async_pager(self, *, api_key: str | None = "pgr_key", **options: Any) -> AsyncPager:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self._answer))
        pager = AsyncPager(URL, api_key=api_key, http=http, **options)

        async def sleep(seconds: float) -> None:
            self.waited.append(seconds)

        pager._sleep = sleep
        pager._flow.clock = lambda: self.now
        return pager

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        # A copy: an answer can be read once.
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(_raw(answer)))

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [(one.method, one.url.raw_path.decode()) for one in self.asked]

    def body(self, number: int = -1) -> Any:
        return json.loads(self.asked[number].content)

    def header(self, name: str) -> list[str | None]:
        return [one.headers.get(name) for one in self.asked]
