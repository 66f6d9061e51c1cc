"""The identity provider: what it says of itself, its keys, and codes that it redeems. Each answer is bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote_plus

import httpx
import structlog
from joserfc.jwk import Key
from pydantic_core import from_json

from libs.chassis.clock import Clock
from libs.chassis.tls import trusting
from libs.contracts.requests import ErrorKind, Rejected, Unauthenticated
from services.auth.oidc.configuration import Configuration, provider_fault
from services.auth.oidc.id_tokens import Header, NoSuchKey, keys_of, signed_by

_log = structlog.get_logger()
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
PATIENCE: Final = 4.0
"""Seconds for all that is asked of it for one sign-in: the gateway waits for five."""
_AT_ONCE: Final = 16
"""Sign-ins that wait for it: one that hangs must not keep what others need."""
_LARGEST: Final = 512 * 1024
"""Bytes of an answer."""
_HELD: Final = timedelta(hours=1)
"""So long what it says of itself, and its keys, are believed without asking again."""
_RECENT: Final = timedelta(minutes=10)
_PAUSE: Final = timedelta(seconds=10)
"""Between two questions for its keys where a token names one that is not known."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class ProviderAway(Rejected):
    """The identity provider does not answer: try again in a while. Who has a password can sign in with it."""

    kind = ErrorKind.UNAVAILABLE


class CodeRefused(Unauthenticated):
    """The identity provider does not take back its code: sign in again."""

    reason = "code of the provider refused"


@dataclass(frozen=True, slots=True)
class Metadata:
    """Where it is asked for what (OpenID Connect Discovery, section 3)."""

    authorization: str
    token: str
    jwks: str
    userinfo: str | None
    basic: bool
    """Whether the client's secret goes into a header; else into the body."""
    says_iss: bool
    """Whether it names itself when it sends the browser back (RFC 9207)."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    id_token: str = field(repr=False)
    access_token: str | None = field(repr=False)


@dataclass
class _Held:
    """What was last heard, and when."""

    metadata: Metadata | None = None
    metadata_at: datetime = _NEVER
    keys: tuple[Key, ...] = ()
    keys_at: datetime = _NEVER


@dataclass
class Provider:
    """Ask it within `turn` only."""

    configuration: Configuration
    clock: Clock
    _client: httpx.AsyncClient | None = None
    _held: _Held = field(default_factory=_Held)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _asking_for_keys: asyncio.Lock = field(default_factory=asyncio.Lock)
    _under_way: int = 0
    _failed_at: datetime = _NEVER

    @property
    def is_failing(self) -> bool:
        """Whether it gave no answer that could be used, lately, and none that could since."""
        return timedelta(0) <= self.clock.now() - self._failed_at < _RECENT

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Around what is asked of it for one sign-in. Raises ProviderAway."""
        if self._under_way >= _AT_ONCE:
            raise ProviderAway
        self._under_way += 1
        try:
            async with asyncio.timeout(PATIENCE):
                yield
            self._failed_at = _NEVER
        except ProviderAway:
            self._failed_at = self.clock.now()
            raise
        except Unauthenticated:
            self._failed_at = _NEVER  # it has answered
            raise
        except TimeoutError:
            self._failed_at = self.clock.now()
            _log.warning("the identity provider does not answer in time")
            raise ProviderAway from None
        finally:
            self._under_way -= 1

    async def metadata(self) -> Metadata:
        """What is known is told at once, and asked for anew by one for all. Raises ProviderAway."""
        held = self._held
        if held.metadata is not None and not self._is_old(held.metadata_at):
            return held.metadata
        async with self._asking:
            if held.metadata is None or self._is_old(held.metadata_at):
                try:
                    held.metadata = self._read(await self._get(self._well_known))
                    held.metadata_at = self.clock.now()
                except ProviderAway:
                    if held.metadata is None:
                        raise
            return held.metadata

    async def redeem(self, code: str, verifier: str) -> Redeemed:
        """What it gives for a code. Raises CodeRefused or ProviderAway."""
        metadata, mine = await self.metadata(), self.configuration
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": mine.callback}
        form["code_verifier"] = verifier
        auth = None
        if mine.secret is not None and metadata.basic:
            # RFC 6749, section 2.3.1: both are encoded as in a form before they become a header.
            auth = httpx.BasicAuth(quote_plus(mine.client_id), quote_plus(mine.secret))
        else:
            form |= {"client_id": mine.client_id}
            form |= {"client_secret": mine.secret} if mine.secret is not None else {}
        status, answer = await self._ask("POST", metadata.token, data=form, auth=auth)
        if 400 <= status < 500:
            said = answer.get("error")
            _log.warning(
                "the identity provider refused a code",
                error=said if isinstance(said, str) and said in _ERRORS else "another",
            )
            raise CodeRefused
        id_token, access_token = answer.get("id_token"), answer.get("access_token")
        if status != 200 or not isinstance(id_token, str):
            raise _at_fault("it gave no ID token")
        if not isinstance(access_token, str):
            return Redeemed(id_token, None)
        if not _is_plain(access_token):  # it goes into a header
            raise _at_fault("its access token cannot be shown")
        return Redeemed(id_token, access_token)

    async def key(self, header: Header) -> Key:
        """What a token is signed with; asked for anew, seldom, if it is unknown. Raises NoSuchKey or ProviderAway."""
        held = self._held
        if not self._is_old(held.keys_at):
            with suppress(NoSuchKey):
                return signed_by(header, held.keys)
        async with self._asking_for_keys:
            since = self.clock.now() - held.keys_at
            if self._is_old(held.keys_at) or not timedelta(0) <= since < _PAUSE:  # a clock may have been set back
                await self._ask_for_keys()
            return signed_by(header, held.keys)

    async def userinfo(self, access_token: str) -> Mapping[str, Any]:
        """What else it says of the person, where it says it elsewhere; nothing. Raises ProviderAway."""
        url = (await self.metadata()).userinfo
        if url is None:
            return {}
        status, answer = await self._ask("GET", url, headers={"Authorization": f"Bearer {access_token}"})
        if status != 200:
            raise _at_fault("it tells nothing of the person")
        return answer

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    @property
    def _well_known(self) -> str:
        return self.configuration.issuer.rstrip("/") + _WELL_KNOWN

    def _is_old(self, heard_at: datetime) -> bool:
        return not timedelta(0) <= self.clock.now() - heard_at < _HELD

    async def _ask_for_keys(self) -> None:
        """Those from before hold while it does not answer, if there are any."""
        held = self._held
        assert held.metadata is not None  # noqa: S101 - a code was redeemed before
        try:
            held.keys = keys_of(await self._get(held.metadata.jwks))
            held.keys_at = self.clock.now()
        except ProviderAway:
            if not held.keys:
                raise

    async def _get(self, url: str) -> Mapping[str, Any]:
        status, answer = await self._ask("GET", url)
        if status != 200:
            raise _at_fault(f"it answers {status}")
        return answer

    async def _ask(self, method: str, url: str, **more: Any) -> tuple[int, Mapping[str, Any]]:
        """Its status and its answer, which is empty where it is no JSON; whither it redirects nobody goes."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=trusting(self.configuration.ca_file),
                timeout=PATIENCE,
                follow_redirects=False,
                trust_env=False,
                limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=2),
                headers={"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "pager"},
            )
        self._client.cookies.clear()  # it is asked for many people
        raw = bytearray()
        try:
            async with self._client.stream(method, url, **more) as answer:
                async for piece in answer.aiter_raw():  # as it came: what is packed may be of any size unpacked
                    raw += piece
                    if len(raw) > _LARGEST:
                        raise _at_fault("its answer is too large")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            _log.warning("the identity provider is away", reason=type(error).__name__)
            raise ProviderAway from None
        if 300 <= answer.status_code < 400 or answer.status_code >= 500:
            raise _at_fault(f"it answers {answer.status_code}")
        try:
            read = from_json(bytes(raw), allow_inf_nan=False)
        except ValueError:
            read = {}
        return answer.status_code, read if isinstance(read, dict) else {}

    def _read(self, said: Mapping[str, Any]) -> Metadata:
        if said.get("issuer") != self.configuration.issuer:
            raise _at_fault("it calls itself otherwise than PAGER_OIDC_ISSUER")
        methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return Metadata(
            authorization=_url(said, "authorization_endpoint"),
            token=_url(said, "token_endpoint"),
            jwks=_url(said, "jwks_uri"),
            userinfo=_url(said, "userinfo_endpoint") if "userinfo_endpoint" in said else None,
            basic="client_secret_basic" in methods if isinstance(methods, list) else True,
            says_iss=said.get("authorization_response_iss_parameter_supported") is True,
        )


_ERRORS: Final = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"}
)
"""Of RFC 6749, section 5.2: what else stands there is not repeated."""


def _url(said: Mapping[str, Any], name: str) -> str:
    url = said.get(name)
    if not isinstance(url, str) or len(url) > 2048 or not _is_plain(url):
        raise _at_fault(f"its {name} is none")
    # With a query, as some have it, but to no place where others hear.
    if "#" in url or provider_fault(url.partition("?")[0]):
        raise _at_fault(f"its {name} cannot be used")
    return url


def _is_plain(text: str) -> bool:
    """Whether it can be sent as it is: printable ASCII."""
    return text.isascii() and text.isprintable()


def _at_fault(why: str) -> ProviderAway:
    _log.error("the identity provider's answer cannot be used", why=why)
    return ProviderAway("The identity provider's answer cannot be used: an operator finds more in auth's log.")
