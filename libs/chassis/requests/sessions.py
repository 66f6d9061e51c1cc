"""Which access tokens are revoked before they expire: their session has ended, or their person has other roles or
is in other teams. All who check tokens follow that on the bus.
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
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.clock import Clock
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.requests.callers import LEEWAY, LONGEST, Caller, RolesAreOthers, Unsure
from libs.contracts.auth import RolesChanged, SessionEnded
from libs.contracts.codec import CODEC, UnknownEvent
from libs.contracts.envelope import Fact
from libs.contracts.requests import Unauthenticated
from libs.contracts.subjects import REVOCATIONS, stream_of
from libs.contracts.teams import TeamMembershipChanged

_log = structlog.get_logger()
_STREAM = stream_of("auth")
_PATIENCE = 1.0
"""Seconds that a caller waits for the list: a process that has just started has it in a moment."""
_LOADED_WITHIN = 10.0
"""Seconds between two batches of it; the last of them may have been deleted from the stream meanwhile."""
_HELD = timedelta(minutes=15)
"""For so long a list that nothing is added to is good enough for what needs a role."""


_FACTS: dict[str, type[Fact]] = dict(zip(REVOCATIONS, (SessionEnded, RolesChanged, TeamMembershipChanged), strict=True))


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

    It reads `SessionEnded`, `RolesChanged` and `TeamMembershipChanged` of the stream AUTH from its beginning, the
    younger of which matter, and then each as it comes. There is no place to keep: what was added stays right, and
    reading again adds the rest.
    """

    service: str
    bus: Bus
    clock: Clock
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all is read that the stream held when it began."""
    _forget: dict[UUID, datetime] = field(default_factory=dict)
    """Sessions that ended, and when no token of theirs can be good any more."""
    _changed: dict[UUID, _Changed] = field(default_factory=dict)
    """People whose roles or teams have changed."""
    _unread: set[str] = field(default_factory=lambda: set(REVOCATIONS))
    _lost: dict[str, datetime] = field(default_factory=dict)
    """Since when nothing is heard on a subject."""

    async def run(self) -> None:
        """Read and follow for ever."""
        async with asyncio.TaskGroup() as group:
            for subject in REVOCATIONS:
                follow = partial(self._follow, subject)
                group.create_task(follow_for_ever(self.bus, follow, self.service, "revoked tokens"))

    async def check(self, caller: Caller) -> Caller:
        """As `callers.Sessions` says."""
        if not self.caught_up.is_set():
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.caught_up.wait()
            except TimeoutError:
                raise Unsure from None
        if caller.session_id in self._forget:
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

    async def _follow(self, subject: str) -> None:
        try:
            async with Pull(self.bus, _STREAM, (subject,), start=1) as pull:
                while pull.behind:
                    async with asyncio.timeout(_LOADED_WITHIN):
                        self._take(_FACTS[subject], await pull.some())
                self._lost.pop(subject, None)
                self._unread.discard(subject)
                if not self._unread:
                    self.caught_up.set()
                while True:
                    self._take(_FACTS[subject], await pull.some())
        finally:
            # While it is read again the list is as old as when it was lost.
            self._lost.setdefault(subject, self.clock.now())

    def _take(self, fact: type[Fact], messages: Iterable[Received]) -> None:
        now = self.clock.now()
        for message in messages:
            try:
                event = CODEC.decode(fact.type, message.data)
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
            case (
                RolesChanged(user_id=user_id, version=version) | TeamMembershipChanged(user_id=user_id, version=version)
            ):
                before = self._changed.pop(user_id, None) or _Changed(version, forget)  # the newest stands last
                self._changed[user_id] = _Changed(max(before.version, version), max(before.forget, forget))

    def _let_go(self, now: datetime) -> None:
        """They come in the order of their ends, or nearly: the oldest stands first."""
        while self._forget and self._forget[oldest := next(iter(self._forget))] <= now:
            del self._forget[oldest]
        while self._changed and self._changed[first := next(iter(self._changed))].forget <= now:
            del self._changed[first]
