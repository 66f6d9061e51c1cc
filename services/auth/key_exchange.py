"""What a machine shows, against a short access token: the one place where API keys are looked at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from libs.chassis.clock import Clock
from libs.chassis.requests.callers import LEEWAY, Caller, RolesAreOthers, Sessions
from libs.chassis.store.changes import Patch
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.api_keys import ExchangeKey, KeyToken
from libs.contracts.model import Role, TeamRole
from libs.contracts.requests import Unauthenticated
from services.auth.api_keys import hashed
from services.auth.queries import RIGHTS_OF, SECRET_OF_SESSION, SECRET_SHOWN, TEAMS_KNOWN
from services.auth.tables.keys import api_key_secrets
from services.auth.tokens import AccessTokens

FRESH = timedelta(minutes=1)
"""So long the gateway uses a token before it asks for another one. That is what "last used" is known to."""
LIFETIME = FRESH + LEEWAY
"""Of a token: as much longer as two clocks may be apart, or as auth may be away."""
_log = structlog.get_logger()


class NotAKey(Unauthenticated):
    """The API key is not valid: it was never one, or it was revoked."""


class Expired(Unauthenticated):
    """The API key has expired."""


class MakerGone(Unauthenticated):
    """The API key ended with its maker: a manager of its team may take it over."""


class TeamGone(Unauthenticated):
    """The API key's team is gone."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A good key: what its token says, which secret was shown, and whether that has to be noted."""

    claims: dict[str, Any]
    expires_at: datetime | None
    secret_id: UUID
    is_noted: bool


@dataclass
class KeyExchange:
    store: Store
    access: AccessTokens
    clock: Clock
    _noting: dict[UUID, asyncio.Task[None]] = field(default_factory=dict)

    async def exchange(self, body: ExchangeKey) -> KeyToken:
        """A token that may do what the key's scopes name, as far as its owner may now.

        Raises:
            NotAKey, Expired, MakerGone, TeamGone.
        """
        try:
            shown = await self.store.read(lambda work: _look_up(work, body.key))
        except Unauthenticated as refusal:
            # The one place where a refused key is seen; strangers choose what they show, so it is not written.
            _log.info("API key refused", reason=type(refusal).__name__)
            raise
        now = self.clock.now()
        until = min(now + LIFETIME, shown.expires_at or now + LIFETIME)
        if int(until.timestamp()) <= int(now.timestamp()):
            raise Expired  # within this second
        self._note_use(shown)
        return KeyToken(access_token=await self.access.signed(shown.claims, now, until))

    async def check(self, caller: Caller) -> Caller:
        """As `callers.Sessions` says, of a machine. Raises Unauthenticated or RolesAreOthers."""
        asked = {"session_id": caller.session_id, "id": caller.key_id}
        rows = await self.store.read(lambda work: work.fetch(SECRET_OF_SESSION, **asked))
        if not rows or not (rows[0]["owner_id"] is None or rows[0]["is_active"]):
            raise Unauthenticated("the session of this API key is over: show the key again")
        if rows[0]["owner_id"] is not None and caller.version < rows[0]["roles_version"]:
            raise RolesAreOthers
        return caller

    async def close(self) -> None:
        """Return when every use is noted."""
        await asyncio.gather(*self._noting.values())

    def _note_use(self, shown: _Shown) -> None:
        """Beside the answer: nobody waits for a write, which is one a minute and secret at most."""
        if shown.is_noted or shown.secret_id in self._noting:
            return
        task = asyncio.create_task(self._noted(shown.secret_id), name="use of an API key")
        self._noting[shown.secret_id] = task
        task.add_done_callback(lambda _: self._noting.pop(shown.secret_id, None))

    async def _noted(self, secret_id: UUID) -> None:
        def note(work: Work) -> None:
            work.put(Patch(api_key_secrets, {"id": secret_id, "last_used_at": work.now}))

        try:
            await self.store.transact(note)
        except Exception:  # noqa: BLE001 - the machine was answered: its next token notes it
            _log.exception("the use of an API key was not noted")


@dataclass(frozen=True, slots=True)
class AllSessions:
    """People's, machines' and those of phones that are not signed in, for whoever checks a token of any."""

    people: Sessions
    machines: Sessions
    phones: Sessions

    async def check(self, caller: Caller) -> Caller:
        if caller.key_id is not None:
            return await self.machines.check(caller)
        # A person's own token has all their rights.
        return await (self.people if caller.scopes is None else self.phones).check(caller)


def _look_up(work: Work, key: str) -> _Shown:
    """The secret is read before whose rights it has: whatever is taken away in between ends its session."""
    rows = work.fetch(SECRET_SHOWN, hash=hashed(key))
    if not rows:
        raise NotAKey
    (row,) = rows
    if row["expires_at"] is not None and row["expires_at"] <= work.now:
        raise Expired
    claims = (_of_team if row["owner_id"] is None else _of_owner)(work, row) | {
        "scopes": list(row["scopes"]),
        "key": str(row["id"]),
        "sid": str(row["session_id"]),
        "did": str(row["secret_id"]),
    }
    if row["team_id"] is not None:
        claims["team"] = str(row["team_id"])
    used = row["last_used_at"]
    return _Shown(claims, row["expires_at"], row["secret_id"], used is not None and work.now - used < FRESH)


def _of_owner(work: Work, row: dict[str, Any]) -> dict[str, Any]:
    """Whoever made it, as they are now: of their teams, the key's alone where it has one."""
    people = work.fetch(RIGHTS_OF, id=row["owner_id"])
    if not people or not people[0]["is_active"]:
        raise MakerGone
    (person,) = people
    team = None if row["team_id"] is None else str(row["team_id"])
    return {
        "sub": str(person["id"]),
        "ver": person["version"],
        "roles": list(person["roles"]),
        "teams": {one["id"]: one["role"] for one in person["teams"] if team in (None, one["id"])},
    }


def _of_team(work: Work, row: dict[str, Any]) -> dict[str, Any]:
    """Nobody: it may do what any manager of the team may."""
    if not work.fetch(TEAMS_KNOWN, ids=[row["team_id"]]):
        raise TeamGone
    return {
        "sub": str(row["id"]),
        "ver": 0,
        "roles": [str(Role.USER)],
        "teams": {str(row["team_id"]): str(TeamRole.MANAGER)},
    }
