"""How incidents stand, asked of their service for all who listen, a few at a time, and remembered for a moment."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any, Final, NamedTuple
from uuid import UUID

import structlog
from pydantic import ValidationError
from pydantic_core import to_json

from libs.contracts.links import incident_url
from libs.contracts.model import Contract, Lane
from libs.contracts.streaming import ReadUpTo, StatesQuery
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder
from services.gateway.streaming.feeds import LANES, Change
from services.gateway.streaming.positions import NOWHERE, Place

_log = structlog.get_logger()
AT_ONCE: Final = 50
"""Incidents of one question: with the longest texts a fifth of what the bus carries."""
_KEPT: Final = 5_000
_FRESH: Final = 10.0
"""Seconds for which one is remembered that has not changed: much of what it shows beside has no event."""


class State(NamedTuple):
    """An incident, and whose it is."""

    json: str
    """As `GET /incidents` shows it."""
    team_id: UUID | None
    people: frozenset[UUID]


class _Of(Contract):
    """An incident is passed on as it came: a later release may show more of it."""

    incident: dict[str, Any]
    team_id: UUID | None = None
    people: tuple[UUID, ...] = ()


class _Told(Contract):
    """`States`, as far as the gateway looks into them."""

    states: tuple[_Of, ...]
    left: tuple[UUID, ...] = ()
    escalation: dict[Lane, ReadUpTo] = {}


class Found(NamedTuple):
    """What was found of the incidents of some changes; those which are `early` have no effect in them yet."""

    states: Mapping[UUID, State]
    early: frozenset[Change]
    unread: frozenset[UUID] = frozenset()
    """What incidents cannot tell."""


@dataclass
class Incidents:
    """Raises Problem 503 where nobody answers."""

    forwarder: Forwarder
    _kept: OrderedDict[UUID, tuple[float, State]] = field(default_factory=OrderedDict)
    _asking: dict[int, set[UUID]] = field(default_factory=dict)
    """Of each question under way, what has changed meanwhile."""
    _numbers: count[int] = field(default_factory=count)

    def forget(self, ids: Iterable[UUID | None]) -> None:
        """These have changed."""
        for one in ids:
            if one is not None:
                self._kept.pop(one, None)
                for changed in self._asking.values():
                    changed.add(one)

    async def of(self, changes: Sequence[Change]) -> Found:
        """As they stand now. Raises Problem: incidents does not answer."""
        ids = list(dict.fromkeys(change.incident_id for change in changes if change.incident_id is not None))
        now = monotonic()
        states = {i: kept[1] for i in ids if (kept := self._kept.get(i)) is not None and now - kept[0] < _FRESH}
        early, unread = set[Change](), set[UUID]()
        missing = [i for i in ids if i not in states]
        questions = [missing[first : first + AT_ONCE] for first in range(0, len(missing), AT_ONCE)]
        while questions:
            some = questions.pop()
            try:
                asked, read, left = await self._ask(some)
            except Problem as problem:
                if problem.code != "INTERNAL":
                    raise
                # One of them cannot be told. The others can.
                half = len(some) // 2
                if half:
                    questions += [some[:half], some[half:]]
                else:
                    _log.error("an incident cannot be told", incident=str(some[0]), reason=problem.message)
                    unread.update(some)
                continue
            # The first is always in the answer: what is left becomes less.
            questions += [list(left)] if left and set(left) < set(some) else []
            late = {change for change in changes if change.incident_id in some and not _is_in(change, read)}
            early |= late
            self.forget(change.incident_id for change in late)
            states |= asked
        return Found(states, frozenset(early), frozenset(unread))

    async def _ask(self, ids: Sequence[UUID]) -> tuple[dict[UUID, State], Mapping[Lane, Place], Sequence[UUID]]:
        number, changed = next(self._numbers), set[UUID]()
        self._asking[number] = changed
        try:
            reply = await self.forwarder.query("incidents", "states", StatesQuery(ids=tuple(ids)), {})
        finally:
            del self._asking[number]
        if reply.error is not None or not isinstance(reply.data, dict):
            raise Problem.of(reply.error) if reply.error is not None else Problem("INTERNAL", "internal error")
        try:
            told = _Told.model_validate(reply.data)
            shown = {UUID(one.incident["id"]): one for one in told.states}
        except (ValidationError, KeyError, ValueError, TypeError, AttributeError):
            raise Problem("INTERNAL", "incidents has answered something else") from None
        now, found = monotonic(), dict[UUID, State]()
        for incident, one in shown.items():
            said = one.incident | {"url": incident_url(self.forwarder.public_url, incident)}
            found[incident] = State(to_json(said).decode(), one.team_id, frozenset(one.people))
            if incident not in changed:
                self._kept[incident] = (now, found[incident])
                self._kept.move_to_end(incident)
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return found, {lane: Place(at.epoch, at.position) for lane, at in told.escalation.items()}, told.left


def _is_in(change: Change, read: Mapping[Lane, Place]) -> bool:
    """Whether incidents had read it: what is its own it has."""
    lane = LANES[change.lane]
    return lane.service == "incidents" or change.place <= read.get(lane.lane, NOWHERE)
