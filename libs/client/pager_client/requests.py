"""What goes over the wire: a request as it is asked for, its bytes, and what an answer of Pager's says."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit
from uuid import UUID

from pager_client.errors import BY_CODE, NotAnswered, Refused

_REPEATABLE: Final = frozenset({"GET", "HEAD", "PUT"})
"""Sent twice they do what they do once."""
MOST_WAIT: Final = 86_400.0


class Answer(dict[str, Any]):
    """The `data` of an answer, and what its headers said beside it."""

    etag: str | None = None
    request_id: str | None = None


def etag(answer: Mapping[str, Any]) -> str:
    """The version of what was read, for `if_match`. Raises `ValueError`: it has none."""
    tag = getattr(answer, "etag", None)
    if not isinstance(tag, str):
        raise ValueError("this is no answer with an ETag: take what a method returned, as a whole")
    return tag


def new_key() -> str:
    """An `Idempotency-Key`: with it a POST that is sent again is carried out once."""
    return uuid.uuid4().hex


def part(value: str | UUID) -> str:
    """One part of a path, whatever stands in it. Raises `ValueError`: it would name another resource."""
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError(f"an id may not be {text!r}")
    return quote(text, safe="")


def address(url: str) -> str:
    """Where Pager is, as requests begin. Raises `ValueError`."""
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise ValueError(
            f"{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()!r} is no address of a Pager"
        )
    return url.rstrip("/").removesuffix("/api/v1")


@dataclass(frozen=True)
class Request:
    """One call. A `path` is below `/api/v1`, or, with two slashes, from the root."""

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, Any] | None = None
    key: str | None = None
    match: str | None = None
    bearer: str | None = field(default=None, repr=False)
    """In the place of the session's."""

    @property
    def may_repeat(self) -> bool:
        """Whether it may be sent again when nobody knows what became of it.

        A change with `If-Match` does nothing the second time: if the first one was carried out, it is refused.
        """
        return self.method in _REPEATABLE or self.key is not None or (self.match or "*") != "*"

    @property
    def signs_in(self) -> bool:
        """A guess at a password or token: never sent again by itself."""
        return self.path.startswith("/auth/")

    def target(self) -> str:
        """Path and query as they are sent."""
        path = self.path[1:] if self.path.startswith("//") else f"/api/v1{self.path}"
        asked = urlencode([pair for name, value in (self.query or {}).items() for pair in _pairs(name, value)])
        return f"{path}{'&' if '?' in path else '?'}{asked}" if asked else path

    def headers(self, bearer: str | None) -> dict[str, str]:
        said = {"Accept": "application/json, text/csv, text/plain"}
        if self.body is not None:
            said["Content-Type"] = "application/json"
        for name, value in (("Idempotency-Key", self.key), ("If-Match", self.match)):
            if value is not None:
                said[name] = _one_line(name, value)
        token = self.bearer or bearer
        return said | ({"Authorization": f"Bearer {token}"} if token else {})

    def content(self) -> bytes | None:
        """Raises `TypeError` or `ValueError`: a value that JSON cannot say."""
        if self.body is None:
            return None
        return json.dumps(self.body, default=_said, allow_nan=False, ensure_ascii=False).encode("utf-8")


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(f"{name}.{key}", str(one)) for key, one in value.items()]
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, list | tuple | set | frozenset):
        value = ",".join(map(str, value))
    elif isinstance(value, datetime):
        value = _said(value)
    # `from` is a word of Python: whoever calls writes `from_`.
    return [(name.removesuffix("_"), str(value))]


def _said(value: Any) -> Any:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _one_line(name: str, value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name}: must be printable ASCII")
    return value


@dataclass(frozen=True)
class Reply:
    """What came back; names of `headers` are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    def read(self, request: Request, url: str) -> Any:
        """The data, or the text of what is no JSON.

        Raises:
            Refused: Pager says why.
            NotAnswered: this is not Pager's way to answer.
        """
        kind = self.headers.get("content-type", "").partition(";")[0].strip()
        if self.status < 300 and kind.startswith("text/") and kind != "text/html":
            return self.content.decode("utf-8", "replace")
        try:
            document = json.loads(self.content) if kind.endswith("json") else None
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict):
            if document.get("success") is True and self.status < 300:
                return self._answer(document.get("data") or {})
            if isinstance(told := document.get("error"), dict):
                raise self._refused(told)
            # Health and keys have no envelope, and health may be a 503 that says more than any error.
            if request.path.startswith("//"):
                return self._answer(document)
        told = f"{self.status} {kind or 'without a type'}"
        raise NotAnswered(
            f"{url} does not answer {request.method} {request.path} as Pager does: {told}", status=self.status
        )

    def _answer(self, data: Any) -> Answer:
        answer = Answer(data if isinstance(data, dict) else {})
        answer.etag, answer.request_id = self.headers.get("etag"), self.headers.get("x-request-id")
        return answer

    def _refused(self, told: Mapping[str, Any]) -> Refused:
        code, details = str(told.get("code", self.status)), told.get("details")
        return BY_CODE.get(code, Refused)(
            self.status,
            code,
            str(told.get("message", "no reason")),
            details if isinstance(details, dict) else None,
            request_id=self.headers.get("x-request-id"),
            retry_after=_seconds(self.headers.get("retry-after")),
        )


def _seconds(text: str | None) -> float | None:
    return min(float(text), MOST_WAIT) if text and text.isascii() and text.isdigit() else None
