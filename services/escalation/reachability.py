"""Whether each policy reaches anybody: a page to people without a device is silence, and it is known beforehand."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.parts import Engine
from libs.chassis.stopping import stoppable
from libs.chassis.store.changes import Row
from libs.chassis.store.store import Store, is_away
from libs.chassis.store.work import Work
from libs.contracts.escalation import Level
from libs.contracts.health import TEAM_POLICY, Effect, Trouble
from libs.contracts.notifier import ReachableQuery, Reached
from libs.contracts.requests import Reply
from libs.contracts.subjects import rpc_subject
from services.escalation.domain.people import planned
from services.escalation.domain.policies import Plan
from services.escalation.inputs import StoredInputs
from services.escalation.projections import ALL_POLICIES, policies

_log = structlog.get_logger()
_EVERY = 10.0
_SOON = 0.5
"""Seconds until it is asked again while it is not known."""
_AT_ONCE = 1000
"""People in one question."""
_NAMED = 20
"""Policies that are named; of more only their number is said."""


@dataclass
class Reachability(Engine):
    """In every replica, since each is asked for its health. Who has a device, the notifier knows."""

    store: Store
    bus: Bus
    unreached: tuple[str, ...] | None = None
    """Policies of which nobody has a device, as culprits; None: not known."""
    _looking: asyncio.Task[None] | None = field(default=None, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    async def prepare(self) -> None:
        self._looking = asyncio.create_task(stoppable(self._look_for_ever), name="escalation reachability")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def look(self) -> None:
        """Once, at all policies."""
        try:
            of_policies = await self.store.read(_people_of_policies)
            reachable = await self._reachable({user for _, people in of_policies for user in people})
        except (BusAway, ValidationError) as error:
            self._lost(type(error).__name__)
        except Exception as error:
            if not is_away(error):
                raise
            self._lost(type(error).__name__)
        else:
            self.unreached = tuple(sorted(policy for policy, people in of_policies if not people & reachable))

    def committed(self, rows: Any) -> None:
        """A policy that was changed is looked at at once."""
        if rows is not None and any(isinstance(row, Row) and row.table is policies for row in rows):
            self._wake.set()

    def health(self) -> dict[str, Any]:
        """`people`: `reachable`, `unreachable` (on some policy), or `unknown` while the notifier is away."""
        return {"people": "unknown" if self.unreached is None else "unreachable" if self.unreached else "reachable"}

    def troubles(self) -> Iterator[Trouble]:
        """A warning: until somebody signs in on a phone that is how every installation begins."""
        unreached = self.unreached or ()
        for policy in unreached[:_NAMED]:
            problem = "reaches nobody: no person on it has a device that can be paged"
            yield Trouble(culprit=policy, problem=problem, effect=Effect.WARNING)
        if (more := len(unreached) - _NAMED) > 0:
            yield Trouble(culprit="policies", problem=f"{more} more reach nobody", effect=Effect.WARNING)

    async def _reachable(self, people: Collection[UUID]) -> set[UUID]:
        """Who of them has a device that can be paged; raises BusAway, or ValidationError for a refusal."""
        found: set[UUID] = set()
        asked = sorted(people)
        for start in range(0, len(asked), _AT_ONCE):
            query = ReachableQuery(user_ids=tuple(asked[start : start + _AT_ONCE]))
            raw = await self.bus.request(rpc_subject("notifier", "reachable"), query.to_json())
            found.update(Reached.model_validate(Reply.model_validate_json(raw).data).user_ids)
        return found

    async def _look_for_ever(self) -> None:
        while True:
            self._wake.clear()
            await self.look()
            try:
                async with asyncio.timeout(_SOON if self.unreached is None else _EVERY):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _lost(self, why: str) -> None:
        if self.unreached is not None:
            _log.warning("who can be reached is not known", reason=why)
        self.unreached = None


def _people_of_policies(work: Work) -> Sequence[tuple[str, set[UUID]]]:
    """Each policy as a culprit, and whoever would be paged now: on its levels, or where these are empty the fallback.

    Two teams may have policies of one name.
    """
    rows = work.fetch(ALL_POLICIES)
    plans = [_plan(row) for row in rows]
    directory = StoredInputs(work).directory(plans, (), work.now)
    found = []
    for row, plan in zip(rows, plans, strict=True):
        people = {p.user_id for level in planned(plan.levels, directory, None) for p in level.people}
        whose = "policy" if row["team_id"] is None else TEAM_POLICY
        found.append((f"{whose} {plan.name}", people or {p.user_id for p in directory.fallback(again=True)}))
    return found


def _plan(row: Mapping[str, Any]) -> Plan:
    return Plan(row["name"], (), row["repeat"], tuple(Level.model_validate(level) for level in row["levels"]))
