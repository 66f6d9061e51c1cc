"""A body that is small, in time, UTF-8 and JSON, read once and strictly; or a Problem that says which it is not.

Strictly: a number is no text and no time, 0 is not false, a field has one name and is given once. What the schema does
not show is refused.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from libs.contracts.faults import first_fault
from libs.contracts.leniency import DEPTH_LIMIT, HELD_NUMBERS
from services.gateway import patience
from services.gateway.envelope import Problem

BODY_LIMIT = 1024 * 1024
"""Bytes of a body for people's API."""
DRAIN_LIMIT = 32 * BODY_LIMIT
"""Bytes that are read, and thrown away, before a 413: closing on a sender makes most clients lose the answer."""
MOST_VALUES = 50_000
"""In a body: each costs a hundred times what its bytes do, and everybody waits for the event loop meanwhile. The
largest schedule has 38,000."""
_JSON = re.compile(r"^application/([a-z0-9!#$&^_.+-]+\+)?json\s*(;|$)", re.IGNORECASE)
_CLOSE = {"Connection": "close"}


class JsonRequest(Request):
    """A request whose `json` is what `reading` makes of the body."""

    def __init__(self, plain: Request, reading: TypeAdapter[Any] | None) -> None:
        super().__init__(plain.scope, plain.receive)
        self._reading = reading

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await self._read_in_time()
            if self._body and self.headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise Problem("UNSUPPORTED_MEDIA_TYPE", "send the body without a Content-Encoding")
            if self._body and not _JSON.match(self.headers.get("content-type", "")):
                raise Problem("UNSUPPORTED_MEDIA_TYPE", "send the body as Content-Type: application/json")
        return self._body

    async def json(self) -> Any:
        return read_strictly(await self.body(), self._reading)

    async def _read_in_time(self) -> bytes:
        try:
            async with asyncio.timeout(patience.PATIENCE):
                return await self._read()
        except TimeoutError:
            raise Problem("REQUEST_TIMEOUT", "the body did not come in time", headers=_CLOSE) from None

    async def _read(self) -> bytes:
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > DRAIN_LIMIT:
            raise _too_large()
        body, size = bytearray(), 0
        async for chunk in self.stream():
            size += len(chunk)
            if size <= BODY_LIMIT:
                body += chunk
            elif size > DRAIN_LIMIT:
                raise _too_large()
        if size > BODY_LIMIT:
            raise _too_large()
        return bytes(body)


def read_strictly(raw: bytes, reading: TypeAdapter[Any] | None) -> Any:
    """What `reading` makes of a body; without one, the JSON.

    Raises:
        Problem: 400 with the field at fault.
    """
    try:
        value = _decode(raw.decode())
    except RecursionError:
        raise _nested() from None
    except ValueError as error:
        raise Problem.invalid("body", f"is not valid JSON: {error}") from error
    _check(value)
    if reading is None:
        return value
    try:
        return reading.validate_json(raw, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        path, sentence = first_fault(error.errors(include_url=False, include_input=False))
        raise (Problem.invalid(path, sentence) if path else no_object()) from error


def no_object() -> Problem:
    return Problem.invalid("body", "must be a JSON object")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ: of two values nobody knows which one was meant (RFC 8259, section 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = Counter(name for name, _ in pairs)
        raise ValueError(f"{names.most_common(1)[0][0][:100]!r} is given twice")
    return found


_decode = json.JSONDecoder(object_pairs_hook=_once, **HELD_NUMBERS).decode


def _check(body: Any) -> None:
    """Raises Problem for what no table and no other reader of JSON could hold."""
    level, depth, many = [body], 0, 1
    while level:
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict | list):
                if depth >= DEPTH_LIMIT:
                    raise _nested()
                for name in value if isinstance(value, dict) else ():
                    _check_text(name)
                below += value.values() if isinstance(value, dict) else value
        many += len(below)
        if many > MOST_VALUES:
            raise Problem.invalid("body", f"has more than {MOST_VALUES} values")
        level, depth = below, depth + 1


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Problem.invalid("body", "text must not contain U+0000")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise Problem.invalid("body", "text must not contain half of a surrogate pair")


def _nested() -> Problem:
    return Problem.invalid("body", f"is nested deeper than {DEPTH_LIMIT} levels")


def _too_large() -> Problem:
    return Problem("PAYLOAD_TOO_LARGE", "the body is longer than 1 MiB", headers=_CLOSE)
