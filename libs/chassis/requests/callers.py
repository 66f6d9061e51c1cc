"""Who is asking: access tokens (RS256) checked in one place, against auth's public keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet as JwkSet

from libs.chassis.clock import Clock
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import KeySet
from libs.contracts.envelope import Actor
from libs.contracts.model import Role
from libs.contracts.requests import Forbidden, Unauthenticated

ISSUER = "pager"
_NEVER = datetime.min.replace(tzinfo=UTC)
_CACHED_TOKENS = 10_000
_REFRESH_PAUSE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind a request, as their access token says."""

    user_id: UUID
    roles: frozenset[Role]
    session_id: UUID
    device_id: str
    expires_at: datetime
    traceparent: str | None = None

    @property
    def actor(self) -> Actor:
        return Actor.user(self.user_id)

    def cause(self, work: Work) -> Cause:
        """The beginning of a chain of events that this person causes."""
        return work.begin(self.actor, self.traceparent)

    def require(self, role: Role) -> None:
        """Raises Forbidden unless the person has this role (admins have every one)."""
        if role not in self.roles and Role.ADMIN not in self.roles:
            raise Forbidden(f"this needs the role {role}")


@dataclass
class Verifier:
    """Checks access tokens and remembers those it has checked until they expire."""

    fetch_keys: Callable[[], Awaitable[KeySet]]
    clock: Clock
    _keys: JwkSet | None = None
    _refreshed_at: datetime = _NEVER
    _known: dict[str, Caller] = field(default_factory=dict)

    async def verify(self, token: str | None) -> Caller:
        """The caller of a token.

        Raises:
            Unauthenticated: no token, not ours, expired or tampered with.
            BusAway: auth's keys are not known yet and auth does not answer.
        """
        if not token:
            raise Unauthenticated
        caller = self._known.get(token)
        if caller is None:
            caller = await self._check(token)
            if len(self._known) >= _CACHED_TOKENS:
                self._known.clear()
            self._known[token] = caller
        if caller.expires_at <= self.clock.now():
            self._known.pop(token, None)
            raise Unauthenticated("the access token has expired")
        return caller

    async def _check(self, token: str) -> Caller:
        try:
            if self._keys is None:
                await self._refresh()
            try:
                return self._decode(token)
            except InvalidKeyIdError:
                # auth may have rotated its keys since; tokens with invented key ids must not ask it each time.
                if self.clock.now() < self._refreshed_at + _REFRESH_PAUSE:
                    raise
                await self._refresh()
                return self._decode(token)
        except (ValueError, KeyError, JoseError) as error:
            raise Unauthenticated("the access token is not valid") from error

    async def _refresh(self) -> None:
        self._refreshed_at = self.clock.now()
        keys = await self.fetch_keys()
        self._keys = JwkSet.import_key_set({"keys": list(keys.keys)})

    def _decode(self, token: str) -> Caller:
        assert self._keys is not None  # noqa: S101 - fetched before
        claims = jwt.decode(token, self._keys, algorithms=["RS256"]).claims
        if claims.get("iss") != ISSUER or claims.get("use") != "access":
            raise Unauthenticated("the access token is not valid")
        return Caller(
            user_id=UUID(claims["sub"]),
            roles=frozenset(Role(r) for r in claims["roles"]),
            session_id=UUID(claims["sid"]),
            device_id=claims["did"],
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )
