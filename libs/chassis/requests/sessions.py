"""Which access tokens are revoked before they expire: they were given up, their session has ended, or their person has
other roles, is in other teams or has chosen another password. All who check tokens follow that on the bus.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog
from nats.aio.msg import Msg
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull
from libs.chassis.clock import Clock
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.requests.callers import LEEWAY, LONGEST, Caller, RolesAreOthers, Unsure
from libs.chassis.stopping import together
from libs.contracts.auth import PasswordChanged, RolesChanged, SessionEnded
from libs.contracts.codec import CODEC, UnknownEvent
from libs.contracts.envelope import Fact
from libs.contracts.model import Lane
from libs.contracts.requests import Unauthenticated
from libs.contracts.revocations import TokenRevoked
from libs.contracts.subjects import REVOKED, REVOKING, fact_filter, revoked_subject, stream_of
from libs.contracts.teams import TeamMembershipChanged

_log = structlog.get_logger()
_STREAM = stream_of("auth")
_PATIENCE = 1.0
"""Seconds that a caller waits for the list: a process that has just started has it in a moment."""
_LOADED_WITHIN = 10.0
"""Seconds between two batches of it; the last of them may have been deleted from the stream meanwhile."""
_HELD = timedelta(minutes=15)
"""For so long a list that nothing is added to is good enough for what needs a role."""


_FACTS: dict[str, type[Fact]] = {
    fact.type: fact for fact in (SessionEnded, RolesChanged, TeamMembershipChanged, PasswordChanged, TokenRevoked)
}


class _Changed(NamedTuple):
    """Tokens of earlier versions of a person are refused, until none of them can be good any more.

    Not those that were issued well after it: auth reads whose token it issues. Where its log was restored to an earlier
    state, or a release before this one (which writes no version) has issued it, a refresh would change nothing.
    """

    version: int
    forget: datetime

    def refuses(self, caller: Caller) -> bool:
        changed_at = self.forget - LONGEST - LEEWAY
        return caller.version < self.version and caller.issued_at <= changed_at + LEEWAY


@dataclass
class EndedSessions:
    """Followed in memory: `run()` it in every process that checks tokens.

    It reads these facts of the stream AUTH from its beginning, the younger of which matter, and then each as it comes.
    There is no place to keep: what was added stays right, and reading again adds the rest. Auth says each at its commit
    as well, past the stream: so it is in force also while that takes nothing.
    """

    service: str
    bus: Bus
    clock: Clock
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all is read that the stream held when it began."""
    _forget: dict[UUID, datetime] = field(default_factory=dict)
    """Sessions that ended and tokens that were given up, and when no token of theirs can be good any more."""
    _changed: dict[UUID, _Changed] = field(default_factory=dict)
    """People whose roles, teams or password have changed."""
    _unread: set[str] = field(default_factory=lambda: set(REVOKING))
    _lost: dict[str, datetime] = field(default_factory=dict)
    """Since when nothing is heard on a subject."""

    async def run(self) -> None:
        """Read and follow for ever."""
        await self.bus.client.subscribe(REVOKED, cb=self._heard)
        follows = (partial(self._follow, type_name) for type_name in REVOKING)
        await together(*(partial(follow_for_ever, self.bus, one, self.service, "revoked tokens") for one in follows))

    async def check(self, caller: Caller) -> Caller:
        """As `callers.Sessions` says."""
        if not self.caught_up.is_set():
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.caught_up.wait()
            except TimeoutError:
                raise Unsure from None
        if caller.session_id in self._forget or caller.token_id in self._forget:
            raise Unauthenticated("the session is over: sign in again")
        if (changed := self._changed.get(caller.user_id)) is not None and changed.refuses(caller):
            raise RolesAreOthers
        if self._lost_at is not None and self.clock.now() - self._lost_at >= _HELD:
            return replace(caller, certain=False)
        return caller

    @property
    def _lost_at(self) -> datetime | None:
        """Since when not all is heard; None while it reads."""
        return min(self._lost.values(), default=None)

    async def _heard(self, message: Msg) -> None:
        """Only auth can write there, too."""
        fact = next((fact for name, fact in _FACTS.items() if revoked_subject(name) == message.subject), None)
        if fact is not None:
            self._take(fact, [message.data])

    async def _follow(self, type_name: str) -> None:
        fact = _FACTS[type_name]
        try:
            async with Pull(self.bus, _STREAM, (fact_filter(type_name, Lane.ROUTINE),), start=1) as pull:
                while pull.behind:
                    async with asyncio.timeout(_LOADED_WITHIN):
                        self._take(fact, (message.data for message in await pull.some()))
                self._lost.pop(type_name, None)
                self._unread.discard(type_name)
                if not self._unread:
                    self.caught_up.set()
                while True:
                    self._take(fact, (message.data for message in await pull.some()))
        finally:
            # While it is read again the list is as old as when it was lost.
            self._lost.setdefault(type_name, self.clock.now())

    def _take(self, fact: type[Fact], events: Iterable[bytes]) -> None:
        now = self.clock.now()
        for raw in events:
            try:
                event = CODEC.decode(fact.type, raw)
            except (UnknownEvent, ValidationError) as error:
                # Only auth can write there. What one build cannot read must not close the doors of all people.
                _log.error("a revocation cannot be read", service=self.service, error=type(error).__name__)
                continue
            if (forget := event.time + LONGEST + LEEWAY) > now:
                self._revoke(event.data, forget)
        self._let_go(now)

    def _revoke(self, fact: Fact, forget: datetime) -> None:
        match fact:
            case SessionEnded(session_id=session_id):
                self._forget[session_id] = forget
            case TokenRevoked(token_id=token_id):
                self._forget[token_id] = forget
            case (
                RolesChanged(user_id=user_id, version=version)
                | TeamMembershipChanged(user_id=user_id, version=version)
                | PasswordChanged(user_id=user_id, version=int(version))
            ):
                before = self._changed.pop(user_id, None) or _Changed(version, forget)  # the newest stands last
                self._changed[user_id] = _Changed(max(before.version, version), max(before.forget, forget))

    def _let_go(self, now: datetime) -> None:
        """They come in the order of their ends, or nearly: the oldest stands first."""
        while self._forget and self._forget[oldest := next(iter(self._forget))] <= now:
            del self._forget[oldest]
        while self._changed and self._changed[first := next(iter(self._changed))].forget <= now:
            del self._changed[first]
