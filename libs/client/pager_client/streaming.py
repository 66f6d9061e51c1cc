"""What a client of `/stream` says and does, whoever carries it out: frames, and what the end of a line means."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict

from pager_client.errors import BY_CODE, NotAnswered, PagerError, Refused
from pager_client.requests import Reply, Request
from pager_client.types import IncidentView

PATH: Final = "/stream"
MOST_BYTES: Final = 4 * 1024 * 1024
"""Of one frame."""
SILENT_HEARTBEATS: Final = 3.0
"""A line on which so many heartbeats are missing is dead."""
FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 30.0
_OURS: Final = frozenset({"pong", "renewed", "expiring", "closing"})
"""Frames that only the client needs."""
_UNAUTHENTICATED: Final = 4401
_FATAL: Final = {1009: "VALIDATION_ERROR", 4400: "VALIDATION_ERROR", 4401: "UNAUTHENTICATED", 4403: "FORBIDDEN"}
_PASSING: Final = {4429: "RATE_LIMITED", 4503: "UNAVAILABLE"}
_STATUS: Final = {"VALIDATION_ERROR": 400, "UNAUTHENTICATED": 401, "FORBIDDEN": 403, "RATE_LIMITED": 429}


class Frame(TypedDict):
    """One of those in `docs/stream.md`; or `interrupted`, which the client says itself: the line has ended, for
    `reason`, and after `retryAfter` seconds there will be another one, from where this one was.
    """

    type: str
    position: NotRequired[str]
    incident: NotRequired[IncidentView]
    """Of `gone` only its `id`."""
    reason: NotRequired[str]
    live: NotRequired[bool]
    at: NotRequired[str]
    expiresAt: NotRequired[str | None]
    heartbeatSeconds: NotRequired[float]
    retryAfter: NotRequired[float]


def address_of(url: str) -> str:
    """`http://…` as `ws://…/api/v1/stream`."""
    return f"ws{url.removeprefix('http')}/api/v1{PATH}"


def authenticate(token: str | None, after: str | None = None) -> str:
    """The first frame, and with another token a later one. Raises `Refused`: there is nothing to show."""
    if token is None:
        raise BY_CODE["UNAUTHENTICATED"](401, "UNAUTHENTICATED", "sign in first, or give an API key")
    said = {"type": "authenticate", "token": token}
    return json.dumps(said if after is None else {**said, "after": after})


def frame_of(message: str | bytes) -> Frame:
    """Raises `NotAnswered`."""
    try:
        frame: Any = json.loads(message)
    except (ValueError, RecursionError):
        frame = None
    if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
        raise NotAnswered("the stream says what is no frame")
    told: Frame = frame  # type: ignore[assignment] # as the server says it
    return told


@dataclass
class Line:
    """What is known of the stream across its connections. `after`: the last position that was handled."""

    url: str
    after: str | None
    patience: float
    """Seconds that the first frame may take."""
    is_known: bool = False
    """Whether it has been `ready` once: what ends it before that is told, and later ends are mended."""
    silence: float = 0.0
    tries: int = 0
    retry_after: float | None = None

    def begin(self) -> None:
        """Another connection."""
        self.silence, self.retry_after = self.patience, None

    def hear(self, frame: Frame) -> bool:
        """Take note of it; whether it is for the caller."""
        if frame["type"] == "ready":
            self.is_known, self.tries = True, 0
            self.silence = SILENT_HEARTBEATS * float(frame.get("heartbeatSeconds", 15.0))
        if frame["type"] == "closing":
            self.retry_after = float(frame.get("retryAfter", FIRST_WAIT))
        return frame["type"] not in _OURS

    def handled(self, frame: Frame) -> None:
        """The caller has asked for the next one."""
        self.after = frame.get("position", self.after)

    def pause(self, error: PagerError) -> Frame:
        """What is told before the next connection. Raises `error`, where another one would change nothing."""
        fatal = isinstance(error, Refused) and error.code not in _PASSING.values()
        if fatal or not self.is_known:
            raise error
        told = error.retry_after if isinstance(error, Refused) else None
        given = self.retry_after if self.retry_after is not None else told
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(self.tries, 8)) * random.uniform(0.5, 1)  # noqa: S311
        self.tries += 1
        return {
            "type": "interrupted",
            "reason": str(error),
            "retryAfter": round(wait if given is None else min(max(given, 0.0), LONGEST_WAIT), 2),
        }

    def ended(self, code: int | None, reason: str) -> PagerError:
        """Why the server, or the network, has ended the line."""
        name = _FATAL.get(code or 0) or _PASSING.get(code or 0)
        if name is None:
            return NotAnswered(f"the stream of {self.url} ended: {code or 'no word'} {reason}".rstrip())
        return BY_CODE[name](_STATUS.get(name, 503), name, reason or f"the stream ended with {code}")

    def refused(self, status: int, headers: dict[str, str], body: bytes | bytearray | None) -> PagerError:
        """Why there was no line."""
        try:
            Reply(status, headers, bytes(body or b"")).read(Request("GET", PATH), self.url)
        except PagerError as error:
            return error
        return NotAnswered(f"{self.url} has no stream: it answers {status}", status=status)
