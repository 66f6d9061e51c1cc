"""How a call goes on, step by step, whoever takes the steps: a thread, or a coroutine.

A flow yields what is to be done next and is sent what came of it, so that what is repeated, and when tokens are renewed
, is written once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from pager_client.errors import NotAnswered, Refused, Unauthenticated
from pager_client.requests import Answer, Reply, Request
from pager_client.session import Session

FIRST_WAIT: Final = 0.2
"""Seconds before the first repeat; each later one waits twice as long. Less by chance, so that not all come at once."""


@dataclass(frozen=True)
class Send:
    """Send it and give the `Reply`, or throw `NotAnswered`."""

    request: Request
    bearer: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Renew:
    """Run `renewed(stale)`, one at a time."""

    stale: str | None = field(repr=False)


Steps = Generator[Send | Wait | Renew, Any, Any]


@dataclass
class Flow:
    """What a `Pager` knows. `timeout` is seconds for one try."""

    url: str
    session: Session
    timeout: float = 15.0
    retries: int = 2
    clock: Callable[[], float] = time.monotonic

    def call(self, request: Request) -> Steps:
        """What is answered. Raises `PagerError`."""
        session, renewed = self.session, False
        if not request.signs_in and session.is_due(self.clock()):
            yield Renew(session.bearer)
            renewed = True
        while True:
            bearer = self.session.bearer
            try:
                return (yield from self._tried(request, bearer))
            except Unauthenticated:
                # What changes a password also answers so to a wrong one.
                if renewed or request.signs_in or self.session.refresh is None:
                    raise
            yield Renew(bearer)
            renewed = True

    def renewed(self, stale: str | None) -> Steps:
        """Get another access token, unless somebody else just has. Raises `PagerError`: the session may be over."""
        session = self.session
        if session.bearer != stale or session.refresh is None:
            return
        request = Request("POST", "/auth/refresh", {"deviceId": session.device_id}, bearer=session.refresh)
        try:
            # Each refresh token is good once, and for ten seconds more for whoever did not hear the answer.
            answer = yield from self._tried(request, None, repeat=True)
        except Unauthenticated:
            self.session = Session()
            raise
        self.session = session.renewed(answer, self.clock())

    def sign_in(self, email: str, password: str, device_id: str, more: Mapping[str, Any]) -> Steps:
        body = {"email": email, "password": password, "deviceId": device_id, **more}
        answer: Answer = yield from self._tried(Request("POST", "/auth/login", body), None)
        self.session = Session(device_id=device_id).renewed(answer, self.clock())
        return answer

    def sign_out(self) -> Steps:
        device = self.session.device_id
        if device is not None:
            yield from self.call(Request("POST", "/auth/logout", {"deviceId": device}))
            self.session = Session()

    def _tried(self, request: Request, bearer: str | None, *, repeat: bool = False) -> Steps:
        """Send it until there is an answer that another try would not change."""
        repeat = repeat or request.may_repeat
        for tries in count():
            try:
                reply: Reply = yield Send(request, bearer)
                return reply.read(request, self.url)
            except NotAnswered as error:
                passing = error.status is None or error.status >= 500
                wait = self._pause(tries) if passing and (repeat or not error.sent) else None
                if wait is None or tries >= self.retries:
                    raise
            except Refused as refused:
                wait = self._told_to_wait(request, refused, tries, repeat=repeat)
                if wait is None or tries >= self.retries:
                    raise
            yield Wait(wait)

    def _told_to_wait(self, request: Request, refused: Refused, tries: int, *, repeat: bool) -> float | None:
        """A request that was refused at the door was not carried out; of a part that is away nobody knows."""
        again = (refused.status == 429 and not request.signs_in) or (refused.status == 503 and repeat)
        wait = self._pause(tries) if refused.retry_after is None else refused.retry_after
        return wait if again and wait <= self.timeout else None

    def _pause(self, tries: int) -> float:
        longest: float = FIRST_WAIT * 2**tries
        return longest * random.uniform(0.5, 1)  # noqa: S311 - a spread, and no secret


def next_page(asked: Mapping[str, Any], data: Mapping[str, Any], name: str) -> tuple[list[Any], dict[str, Any] | None]:
    """What a page of a list holds, and how to ask for the one after it. Raises `NotAnswered`: it does not go on."""
    items, cursor = data.get(name), data.get("nextCursor")
    if not isinstance(items, list) or (cursor is not None and cursor == asked.get("cursor")):
        raise NotAnswered(f"a page of {name} that leads nowhere")
    if cursor is None:
        return items, None
    return items, {key: value for key, value in asked.items() if key != "page"} | {"cursor": cursor}
