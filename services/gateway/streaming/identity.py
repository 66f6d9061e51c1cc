"""Who listens: what their token says, for as long as it is good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.chassis.clock import Clock
from libs.chassis.requests.callers import Caller
from libs.contracts.features import Feature
from libs.contracts.permissions import Action
from libs.contracts.streaming import Close
from services.gateway.callers import Callers
from services.gateway.envelope import Problem
from services.gateway.features import Features, switched_off
from services.gateway.limits import Limit, Limits, of_person
from services.gateway.machines import Machines, is_for_machines
from services.gateway.streaming.audience import Rights
from services.gateway.streaming.frames import Ended

SOON: Final = timedelta(minutes=1)
"""So long before its end a client is told that its token ends."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where tokens are checked."""

    callers: Callers
    machines: Machines
    limits: Limits
    clock: Clock
    features: Features


@dataclass
class Identity:
    """Nobody, until `show`; then the same one for ever."""

    tokens: Tokens
    address: str
    user_id: UUID | None = None
    key_id: UUID | None = None
    person: UUID | None = None
    """Who it is, where what has paged them is theirs."""
    rights: Rights = field(init=False)
    _caller: Caller | None = None
    _token: str = field(default="", repr=False)
    _key: str | None = field(default=None, repr=False)
    """The API key in whose place the token stands."""
    _warned: datetime | None = None
    """Of which end the client has been told."""

    @property
    def who(self) -> UUID:
        """The API key, or the person. There must be one."""
        who = self.key_id or self.user_id
        assert who is not None  # noqa: S101 - its caller has shown a token
        return who

    @property
    def expires_at(self) -> datetime | None:
        """When another token has to be shown; None: never, it is an API key."""
        return None if self._caller is None or self._key is not None else self._caller.expires_at

    async def show(self, shown: str) -> None:
        """Take over what a token says, or an API key; it counts as a request does. Raises Ended."""
        key = shown if is_for_machines(shown) else None
        try:
            if key is None:
                token, caller = shown, await self.tokens.callers.caller(shown)
                self.tokens.limits.take([of_person(Limit.GENERAL, caller.user_id)])
            else:
                admitted = await self.tokens.machines.admitted(key, self.address)
                token, caller = admitted.token, admitted.caller
        except Problem as problem:
            raise _refused(problem) from None
        if self._caller is not None and (caller.user_id, caller.key_id) != (self.user_id, self.key_id):
            raise Ended(Close.UNAUTHENTICATED, "this is another person's token")
        if not caller.rights.allow_somewhere(Action.INCIDENTS_LIST):
            raise Ended(Close.FORBIDDEN, f"this needs the scope {Action.INCIDENTS_LIST}")
        self._check_feature(caller.key_id or caller.user_id)
        self.user_id, self.key_id, self.person = caller.user_id, caller.key_id, caller.person
        self._caller, self._token, self._key, self.rights = caller, token, key, Rights.of(caller)

    async def check(self) -> None:
        """Whether it is still good: a token that was revoked is refused as any request with it would be, and one that
        streams have been switched off for.

        Raises:
            Ended: it is not.
        """
        self._check_feature(self.who)
        try:
            await self.tokens.callers.caller(self._token)
        except Problem as problem:
            if problem.code != "UNAUTHENTICATED":
                return  # that is not known at the moment; the token ends all the same when it has to
            if self._key is None:
                raise _refused(problem) from None
            await self.show(self._key)

    def _check_feature(self, who: UUID) -> None:
        """Raises Ended."""
        if not self.tokens.features.is_on(Feature.STREAM, who):
            raise Ended(Close.FORBIDDEN, switched_off(Feature.STREAM))

    def ends_soon(self) -> datetime | None:
        """The end of a token, once, a minute before."""
        end = self.expires_at
        if end is None or end == self._warned or end - self.tokens.clock.now() > SOON:
            return None
        self._warned = end
        return end


def _refused(problem: Problem) -> Ended:
    match problem.code:
        case "UNAUTHENTICATED":
            return Ended(Close.UNAUTHENTICATED, problem.message)
        case "RATE_LIMITED":
            return Ended(Close.TOO_MANY, problem.message)
        case _:
            return Ended(Close.UNAVAILABLE, problem.message)
