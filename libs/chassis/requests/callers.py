"""Who is asking: access tokens (RS256) checked in one place, against auth's public keys and the sessions that ended."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal, Protocol, Self
from uuid import UUID

import structlog
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet as JwkSet
from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.chassis.clock import Clock, wait_at_most
from libs.chassis.requests.peers import Peer
from libs.chassis.store.work import Cause, Work
from libs.contracts.audit import Origin
from libs.contracts.auth import KeySet
from libs.contracts.envelope import Actor
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import MOST_TEAMS, PERMISSIONS, Action, Need, Rights, Sight, sight
from libs.contracts.requests import ErrorKind, Forbidden, Rejected, Unauthenticated

ISSUER: Final = "pager"
AUDIENCE: Final = "pager"
"""Ours are for all services alike: none of them forwards a token to somebody else."""
LONGEST = timedelta(hours=1)
"""No access token lives longer, whatever auth is told: so long at most it has to be remembered that a session ended."""
LEEWAY = timedelta(minutes=1)
"""How far the clocks of two machines may be apart. It is for beginnings only: a token ends to the second."""
KEYS_HELD = timedelta(minutes=1)
"""So old may the keys be that tokens are checked with, while auth answers."""
_log = structlog.get_logger()
_NEVER = datetime.min.replace(tzinfo=UTC)
_CACHED_TOKENS = 10_000
_PAUSE = timedelta(seconds=1)
"""Between two questions for auth's keys: with invented key ids strangers have it asked so often at most."""
_LONGEST_TOKEN = 8192
_LONGEST_HEADER = 512
"""Characters; ours have some 800, and their headers 114: what is longer is not even parsed."""
_HEADER: Final = {"typ", "alg", "kid"}
_NEEDS: Final = {
    Need.OWN: "this is about yourself: sign in",
    Need.MEMBER: "this needs a member of its team",
    Need.MANAGER: "this needs a manager of its team, or the role lead for what belongs to no team",
    Need.ADMIN: "this needs the role admin",
}
_KID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""A thumbprint, as auth names its keys: whatever else stands there is no reason to ask auth."""
_WAITING = 100
"""Tokens with a key that is not known, of one process: whoever signs has told it, so a question is worth the wait."""


class Unsure(Rejected):
    """It is not known here whether this session goes on: try again."""

    kind = ErrorKind.UNAVAILABLE


class RolesAreOthers(Unauthenticated):
    """Your roles, teams or password have changed since this token was issued: refresh it."""


class ClocksApart(Rejected):
    """Auth's clock is ahead of ours: this token is right and begins only later. Whoever sees 401 throws it away."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, until: timedelta) -> None:
        super().__init__(
            "the clocks of two machines are apart: this token begins later, try again",
            retry_after=min(until, LEEWAY).total_seconds(),
        )


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind a request, as their access token says."""

    user_id: UUID
    roles: frozenset[Role]
    session_id: UUID
    device_id: str
    expires_at: datetime
    traceparent: str | None = None
    version: int = 0
    """Of the person when the token was issued; 0: auth as it was before has issued it."""
    issued_at: datetime = _NEVER
    certain: bool = True
    """Whether it is known that the session goes on; False: it did when that was last heard, long ago."""
    teams: Mapping[UUID, TeamRole] = field(default_factory=dict)
    scopes: frozenset[str] | None = None
    """The actions of a caller that has fewer rights than its person, such as an API key; None: all of the person's."""
    bound: UUID | None = None
    """The only team on whose things it acts; None: it is bound to none."""
    key_id: UUID | None = None
    """The API key that asks, in the place of a person."""
    peer: Peer = field(default_factory=Peer)
    """Where they are, as the gateway says."""
    is_web: bool = False
    """Whether it is a browser's session."""
    token_id: UUID | None = None
    """Of the access token itself."""

    @property
    def actor(self) -> Actor:
        return Actor.user(self.user_id) if self.key_id is None else Actor.key(self.key_id)

    @property
    def person(self) -> UUID | None:
        """Who asks, if it is somebody: what has paged them is theirs, and not their machines'."""
        return self.user_id if self.key_id is None and self.bound is None else None

    @property
    def rights(self) -> Rights:
        return Rights(self.roles, self.teams, self.scopes, self.bound)

    def cause(self, work: Work) -> Cause:
        """The beginning of a chain of events that this caller causes."""
        origin = Origin(self.user_id, self.peer.address, self.peer.agent)
        return work.begin(self.actor, self.traceparent, origin, self.peer.client)

    def may(self, action: Action, team: UUID | None = None) -> bool:
        """Whether they may do this to what belongs to `team` (None: to the whole organisation), and surely still do."""
        return self.rights.allow(action, team) and self._surely(action)

    def sight(self, action: Action) -> Sight:
        """What of a list they see with this action."""
        return sight(self.rights, action)

    def require(self, action: Action, team: UUID | None = None, *, otherwise: str | None = None) -> None:
        """Refuse whoever may not do this to what belongs to `team` (None: to the whole organisation).

        Raises:
            Forbidden: they may not; `otherwise` says who may.
            Unsure: they may not be allowed to any more, and it is more than everybody may do.
        """
        self._require(action, self.rights.allow(action, team), otherwise)

    def require_somewhere(self, action: Action) -> None:
        """Refuse whoever may do this to nothing at all. Raises as `require`."""
        self._require(action, self.rights.allow_somewhere(action), None)

    def _require(self, action: Action, allowed: bool, otherwise: str | None) -> None:
        if not allowed and self.scopes is not None and action not in self.scopes:
            raise Forbidden(f"this needs the scope {action}")
        if not allowed:
            raise Forbidden(otherwise or _NEEDS[PERMISSIONS[action].need])
        if not self._surely(action):
            raise Unsure

    def _surely(self, action: Action) -> bool:
        return self.certain or PERMISSIONS[action].need in (Need.OWN, Need.MEMBER)


class Sessions(Protocol):
    """Knows which sessions go on."""

    async def check(self, caller: Caller) -> Caller:
        """The caller, as far as is known.

        Raises:
            Unauthenticated: the session is over, the token was given up, or the person has other roles or teams than
                when it was issued.
            Unsure: nothing is known of that yet.
        """
        ...


_Seconds = Annotated[int, Field(strict=True, ge=0, lt=253_402_300_800)]
"""Unix seconds up to the year 9999, which is as far as a `datetime` goes."""


class _Claims(BaseModel):
    """What an access token says (RFC 7519, section 4.1); other claims may stand beside these.

    `aud` and `nbf` are missing in tokens of auth as it was before: where they stand, they must be right. `scopes`,
    `team` and `key` are of callers with fewer rights than their person; scopes that are not known here allow nothing.
    """

    model_config = ConfigDict(frozen=True)

    iss: Literal["pager"]
    aud: Literal["pager"] = AUDIENCE
    use: Literal["access"]
    sub: UUID
    sid: UUID
    did: str = Field(max_length=255)
    roles: tuple[Role, ...]
    ver: int = Field(default=0, strict=True, ge=0)
    teams: dict[UUID, TeamRole] = Field(default_factory=dict, max_length=MOST_TEAMS)
    scopes: tuple[str, ...] | None = Field(default=None, max_length=len(Action) * 2)
    team: UUID | None = None
    key: UUID | None = None
    web: bool = False
    jti: UUID
    iat: _Seconds
    nbf: _Seconds = 0
    exp: _Seconds

    @model_validator(mode="after")
    def _lives_for_a_while(self) -> Self:
        if not 0 < self.exp - max(self.iat, self.nbf) <= self.exp - self.iat <= LONGEST.total_seconds():
            raise ValueError("it begins after its end, or lives too long")
        return self


def _uncounted() -> None:
    pass


@dataclass
class Verifier:
    """Checks access tokens and remembers those it has checked until they expire."""

    fetch_keys: Callable[[], Awaitable[KeySet]]
    clock: Clock
    sessions: Sessions
    forged: Callable[[], None] = _uncounted
    """Called for each token that auth has not made; one that has only expired is none of them."""
    _keys: JwkSet | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _asking: asyncio.Task[None] | None = None
    """Asks for keys, for all whom a process that has just started hears at once."""
    _next: asyncio.Task[None] | None = None
    """Asks after that, for those who have come since."""
    _waiting: int = 0
    _asked_at: datetime = _NEVER
    _warned_at: datetime = _NEVER
    _known: dict[str, Caller] = field(default_factory=dict)

    async def verify(self, token: str | None) -> Caller:
        """The caller of a token.

        Raises:
            Unauthenticated: no token, not ours, expired or tampered with, or its session is over.
            Unsure: it is not known yet which sessions are over; or its key is not known, and too many wait for theirs.
            ClocksApart: it is auth's, and begins later.
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
        return await self.sessions.check(caller)

    async def _check(self, token: str) -> Caller:
        try:
            _check_header(token)
            if self._keys is None:
                await asyncio.shield(self._ask())
            try:
                return self._decode(token)
            except InvalidKeyIdError:
                return await self._decode_anew(token)
        except (ValueError, JoseError) as error:
            self.forged()
            raise Unauthenticated("the access token is not valid") from error

    async def _decode_anew(self, token: str) -> Caller:
        """Auth may have a new key. Nobody has an invented one, which only an answer to a question from now on shows.

        Raises:
            Unsure: too many wait for such answers.
        """
        if self._waiting >= _WAITING:
            raise Unsure("auth has not said yet which keys it has: try again")
        self._waiting += 1
        try:
            if self._asking is not None and not self._asking.done():
                await asyncio.shield(self._asking)
                with suppress(InvalidKeyIdError):
                    return self._decode(token)
            if self._next is None or self._next.done():
                self._next = asyncio.create_task(self._ask_in_turn())
            await asyncio.shield(self._next)
        finally:
            self._waiting -= 1
        return self._decode(token)

    async def _ask_in_turn(self) -> None:
        since = self.clock.now() - self._asked_at
        if timedelta(0) <= since < _PAUSE:  # not after a clock that was set back
            await self.sleep((_PAUSE - since).total_seconds())
        self._next = None  # whoever comes from now on is no earlier than the question
        await asyncio.shield(self._ask())

    def _ask(self) -> asyncio.Task[None]:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._refresh())
        return self._asking

    async def _refresh(self) -> None:
        self._asked_at = self.clock.now()
        keys = JwkSet.import_key_set({"keys": list((await self.fetch_keys()).keys)})
        if self._keys is not None and {key.kid for key in self._keys} - {key.kid for key in keys}:
            self._known.clear()  # a key is over: whatever it has signed is looked at again
        self._keys = keys

    async def follow(self) -> None:
        """For ever: ask for the keys again once they are old, so that one which auth has given up is soon refused.

        While auth does not answer the last ones hold: whoever acknowledges a page must get in.
        """
        while True:
            await wait_at_most(self.clock, KEYS_HELD)
            if self._keys is None:
                continue  # nobody has asked for anything yet
            try:
                await asyncio.shield(self._ask())
            except Exception as error:  # noqa: BLE001 - whatever is wrong with auth, it is asked again
                _log.warning("auth's keys are not heard of", reason=str(error))

    def _decode(self, token: str) -> Caller:
        assert self._keys is not None  # noqa: S101 - fetched before
        claims = _Claims.model_validate(jwt.decode(token, self._keys, algorithms=["RS256"]).claims)
        begins = datetime.fromtimestamp(max(claims.iat, claims.nbf), UTC)
        if (until := begins - self.clock.now() - LEEWAY) > timedelta(0):
            self._warn(until + LEEWAY)
            raise ClocksApart(until)
        return Caller(
            user_id=claims.sub,
            roles=frozenset(claims.roles),
            session_id=claims.sid,
            device_id=claims.did,
            expires_at=datetime.fromtimestamp(claims.exp, UTC),
            version=claims.ver,
            issued_at=datetime.fromtimestamp(claims.iat, UTC),
            teams=claims.teams,
            scopes=None if claims.scopes is None else frozenset(claims.scopes),
            bound=claims.team,
            key_id=claims.key,
            is_web=claims.web,
            token_id=claims.jti,
        )

    def _warn(self, ahead: timedelta) -> None:
        """Once a minute: a person has to set a clock."""
        now = self.clock.now()
        if abs(now - self._warned_at) >= LEEWAY:
            self._warned_at = now
            _log.warning("clocks are apart", of="auth", ahead=ahead.total_seconds())


def _check_header(token: str) -> None:
    """Refuse at once what is no header of auth's: above all one that brings its own key, or says where to get it.

    Raises:
        ValueError: it is none.
    """
    part = token.partition(".")[0]
    if len(token) > _LONGEST_TOKEN or len(part) > _LONGEST_HEADER:
        raise ValueError("longer than any token of ours")
    header = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    if not isinstance(header, dict) or header.get("alg") != "RS256" or not header.keys() <= _HEADER:
        raise ValueError("not the header of a token of ours")
    if not isinstance(kid := header.get("kid"), str) or not _KID.fullmatch(kid):
        raise ValueError("not the name of a key of ours")
