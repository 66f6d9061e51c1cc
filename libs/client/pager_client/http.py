"""What the two clients have in common at the connection: options, limits, and what httpx's errors mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import httpx

from pager_client.errors import NotAnswered
from pager_client.flow import Flow, Send
from pager_client.requests import Reply, address
from pager_client.session import Session

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of one answer, uncompressed."""
DEVICE: Final = "pager-client"
_NEVER_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def agent() -> str:
    """How the client calls itself."""
    try:
        return f"pager-client/{version('pager-client')}"
    except PackageNotFoundError:
        return "pager-client"


def flow_of(url: str, api_key: str | None, access_token: str | None, timeout: float, retries: int) -> Flow:
    """Raises `ValueError` for what makes no sense."""
    if api_key is not None and access_token is not None:
        raise ValueError("an API key or an access token, not both")
    if not 0 < timeout <= 3600 or not 0 <= retries <= 10:
        raise ValueError("timeout: above 0 and at most 3600 seconds; retries: 0 to 10")
    return Flow(address(url), Session(api_key if api_key is not None else access_token), timeout, retries)


class Body:
    """Collects an answer, up to a size and until a time."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._content = bytearray()

    def add(self, chunk: bytes) -> None:
        """Raises `NotAnswered`."""
        self._content += chunk
        if len(self._content) > MOST_BYTES:
            raise NotAnswered(f"an answer of more than {MOST_BYTES} bytes")
        if time.monotonic() > self._ends:
            raise NotAnswered("an answer that does not end in time")

    def reply(self, response: httpx.Response) -> Reply:
        return Reply(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(self._content))


def prepared(http: httpx.Client | httpx.AsyncClient, flow: Flow, send: Send) -> httpx.Request:
    """As it goes over the wire. Raises `ValueError` or `TypeError`: it cannot be sent."""
    request = send.request
    return http.build_request(
        request.method,
        f"{flow.url}{request.target()}",
        content=request.content(),
        headers=request.headers(send.bearer),
        timeout=flow.timeout,
    )


@contextmanager
def told(flow: Flow, send: Send) -> Iterator[None]:
    """Raises `NotAnswered` for whatever the connection does."""
    try:
        yield
    except (httpx.RequestError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        where = f"{flow.url} does not answer {send.request.method} {send.request.path}"
        raise NotAnswered(f"{where}: {why}", sent=not isinstance(error, _NEVER_SENT)) from error
