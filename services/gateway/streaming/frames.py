"""What a client says: one JSON object a frame, read as strictly as the body of a request."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter

from libs.contracts.streaming import Authenticate, ClientFrame, Close, Ping
from services.gateway.body import read_strictly
from services.gateway.envelope import Problem

LIMIT: Final = 16 * 1024
"""Bytes of a frame: twice the longest token."""
_REASON: Final = 120
"""Bytes of a close's reason (RFC 6455, section 5.5: 125 with the code)."""
_READING: TypeAdapter[Any] = TypeAdapter(ClientFrame)


class Ended(Exception):
    """The stream ends, and why."""

    def __init__(self, code: Close, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:_REASON].decode(errors="ignore")


def read_frame(text: str | None) -> Authenticate | Ping:
    """Raises Ended: it is no frame of ours; what it said is not repeated, since it may be a token."""
    if text is None:
        raise Ended(Close.MALFORMED, "frames are text")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise Ended(Close.MALFORMED, "a frame must be UTF-8") from None
    if len(raw) > LIMIT:
        raise Ended(Close.MALFORMED, f"a frame has at most {LIMIT} bytes")
    try:
        frame: Authenticate | Ping = read_strictly(raw, _READING)
    except Problem as problem:
        # A field's fault says what was expected of it; of what is no JSON the parser's words quote nothing.
        where = "" if problem.field in (None, "body") else f"{problem.field}: "
        raise Ended(Close.MALFORMED, f"{where}{problem.message}") from None
    return frame
