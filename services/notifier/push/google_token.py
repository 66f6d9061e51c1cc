"""The OAuth token for FCM: google-auth reads the service account and signs, aiohttp asks for the token."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from google.auth import exceptions, jwt
from google.oauth2 import service_account

from libs.chassis.urls import url_fault
from services.notifier.push.outcome import code_word

if TYPE_CHECKING:
    from libs.chassis.clock import Clock

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFE = timedelta(hours=1)
MARGIN = timedelta(minutes=5)
"""A token is replaced this long before it expires, in the background while the old one still serves."""
RETRY_PAUSE = timedelta(seconds=5)
FETCH_TIMEOUT = 10.0
SHORTEST_LIFE, LONGEST_LIFE = 60.0, 3600.0
"""Seconds for which an access token is believed to live, whatever is said of it: Google says 3599."""
MAX_ANSWER = 65_536


class TokenRefused(Exception):
    """Google refuses our credentials; the message is its error code, without secrets."""


class TokenUnavailable(Exception):
    """No token can be had now; the message is a short reason without addresses."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What is needed of a service account's JSON file."""

    project_id: str
    email: str
    token_url: str
    signer: Any


def read_service_account(text: str, token_url: str | None = None) -> ServiceAccount:
    """Of the text of the JSON file; `token_url` replaces the one in it.

    Raises:
        ValueError: what is wrong with it, without the key in it.
    """
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not the JSON of a service account") from None
    if not isinstance(info, dict) or info.get("type") != "service_account":
        raise ValueError('is not the JSON of a service account: it would say "type": "service_account"')
    for name, form in _FORMS.items():
        value = info.get(name)
        if not isinstance(value, str) or not re.fullmatch(form, value):
            raise ValueError(f"is not the JSON of a service account: {name} is missing, or has another form")
    url = token_url or info["token_uri"]
    if fault := url_fault(url, "http", "https"):
        raise ValueError(f"its token_uri {fault}")
    try:
        credentials = _credentials(info)
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm, exceptions.GoogleAuthError):
        raise ValueError("holds no private_key that can be read") from None
    return ServiceAccount(info["project_id"], credentials.service_account_email, url, credentials.signer)


_FORMS: Final = {
    "project_id": r"[a-z0-9][a-z0-9:.-]{0,126}[a-z0-9]",  # it becomes part of a path
    "client_email": r"[!-~]+@[!-~]+",
    "token_uri": r"[!-~]+",
    "private_key": r"(?s).+",
}
# google-auth is typed in part only; these two calls are its whole use here.
_credentials: Callable[[Mapping[str, str]], Any] = service_account.Credentials.from_service_account_info
_sign: Callable[[Any, Mapping[str, Any]], bytes] = jwt.encode


class GoogleToken:
    """Fetches and keeps one access token; any number of callers wait for the same fetch (RFC 7523)."""

    def __init__(self, *, account: ServiceAccount, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._account = account
        self._session = session
        self._clock = clock
        self._value: str | None = None
        self._expires_at: datetime | None = None
        self._fetching: asyncio.Task[str] | None = None
        self._failed_at: datetime | None = None
        self._failure: BaseException | None = None

    @property
    def trouble(self) -> str | None:
        """Why there is no token; None while there is one, or none has been asked for yet."""
        if self._failure is None or (self._expires_at is not None and self._clock.now() < self._expires_at):
            return None
        refused = isinstance(self._failure, TokenRefused)
        return "refuses our credentials" if refused else "gives no token that pages could be sent with"

    async def get(self) -> str:
        """A token that is valid now. Raises TokenRefused or TokenUnavailable."""
        self.touch()
        if self._value is not None and self._expires_at is not None and self._clock.now() < self._expires_at:
            return self._value
        # shield: a page that gives up must not take the fetch from the others.
        return await asyncio.shield(self._fetch_once())

    def touch(self) -> None:
        """Begin a fetch in the background when there is no token or it expires within the margin."""
        now = self._clock.now()
        if self._expires_at is not None and now < self._expires_at - MARGIN:
            return
        if self._failed_at is not None and timedelta(0) <= now - self._failed_at < RETRY_PAUSE:
            return
        self._fetch_once()

    def invalidate(self, refused: str) -> None:
        """FCM answered UNAUTHENTICATED to this token: the next `get` fetches, unless another has already."""
        if self._value == refused:
            self._value = self._expires_at = self._failed_at = None

    async def close(self) -> None:
        """Give up a fetch that is under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)

    def _fetch_once(self) -> asyncio.Task[str]:
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, task: asyncio.Task[str]) -> None:
        self._fetching = None
        # Reading the exception tells asyncio that a background failure, which nobody awaits, was seen.
        self._failure = None if task.cancelled() else task.exception()
        self._failed_at = None if self._failure is None else self._clock.now()

    async def _fetch(self) -> str:
        asked_at = self._clock.now()
        form = {"grant_type": GRANT, "assertion": self._assertion(asked_at)}
        try:
            async with self._session.post(
                self._account.token_url, data=form, timeout=aiohttp.ClientTimeout(total=FETCH_TIMEOUT)
            ) as response:
                status, raw = response.status, await read_some(response)
        except TimeoutError:
            raise TokenUnavailable("timeout") from None
        except (aiohttp.ClientError, OSError) as error:
            raise TokenUnavailable(type(error).__name__) from None
        self._value, seconds = _read_token(status, raw)
        self._expires_at = asked_at + timedelta(seconds=seconds)
        return self._value

    def _assertion(self, now: datetime) -> str:
        issued_at = int(now.timestamp())
        claims = {
            "iss": self._account.email,
            "scope": SCOPE,
            "aud": self._account.token_url,
            "iat": issued_at,
            "exp": issued_at + int(ASSERTION_LIFE.total_seconds()),
        }
        return _sign(self._account.signer, claims).decode()


async def read_some(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer, as far as it is of any use: whoever answers may send without end."""
    raw = b""
    while len(raw) < MAX_ANSWER and (part := await response.content.read(MAX_ANSWER - len(raw))):
        raw += part
    return raw


def _read_token(status: int, raw: bytes) -> tuple[str, float]:
    """Token and life in seconds (RFC 6749 sections 5.1 and 5.2)."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        body = {}
    token, seconds = body.get("access_token"), body.get("expires_in", 3600)
    if status == 200 and isinstance(token, str) and token and isinstance(seconds, int | float):
        return token, float(min(LONGEST_LIFE, max(SHORTEST_LIFE, seconds)))  # in this order NaN is the shortest
    word = body.get("error")
    reason = code_word(word) or f"HTTP {status}"
    if 400 <= status < 500 and status not in (408, 429):
        raise TokenRefused(reason)
    raise TokenUnavailable(reason)
