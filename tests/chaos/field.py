"""The stack under attack: alerts flow, people answer, processes are struck, and each outage is timed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from bench.stack import RunningPager
from cli.reach.api import api_of
from pager_client import AsyncPager
from tests.chaos.phones import Phones, Push
from tests.chaos.probe import Holder, Probe
from tests.chaos.responder import Responders, acknowledges_at_once
from tests.chaos.roster import Roster, make_roster
from tests.chaos.sender import Sender
from tests.chaos.stack import started_pager

_POLL = 0.01
_COMES_BACK = 40.0
"""Seconds after which something that does not come back fails the run."""
_CATCHES_UP = 90.0
"""Seconds in which all that waited through an outage must have been paged."""


@dataclass(frozen=True)
class Down:
    """A process or server was dead or stopped from one moment to another (Unix seconds)."""

    name: str
    begin: float
    end: float
    first_alert: int = 0
    """The number of the first alert that was sent after it went down."""
    taken_over: float = 0.0
    """When another replica, or the same one again, was active."""


@dataclass(frozen=True)
class Strike:
    """One scenario's run. Seconds; `paging_again`: from the blow to the first page of an alert sent after it.

    `takeover`: from the blow until another replica, or what was restarted, was active.
    """

    scenario: str
    kind: str
    """Which limit it is held against (`test_crashes.py`); empty: none."""
    begin: float
    end: float
    first_alert: int
    """The number of the first alert that was sent after the blow."""
    down: float
    takeover: float
    paging_again: float
    longest_silence: float


@dataclass
class Field:
    """Everything a scenario may touch."""

    pager: RunningPager
    replicas: int
    roster: Roster
    sender: Sender
    phones: Phones
    responders: Responders
    probe: Probe
    downs: list[Down] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    waiting: set[int] = field(default_factory=set)
    """Accepted, and neither paged nor acknowledged yet."""

    def __post_init__(self) -> None:
        self.sender.on_accepted = self._accepted
        self.phones.on_page = self._paged
        self.responders.on_acknowledged = self.waiting.discard

    def _accepted(self, number: int) -> None:
        if number not in self.phones.first_page and number not in self.responders.answered:
            self.waiting.add(number)

    def _paged(self, push: Push) -> None:
        self.waiting.discard(push.number)
        self.responders.paged(push)

    # --- Blows -------------------------------------------------------------------------------------------------------

    def signal(self, process: str, number: signal.Signals) -> int:
        """Send a signal to a process by its name in `run.json`; returns its pid."""
        pid = self.pager.pids()[process]
        os.kill(pid, number)
        return pid

    @contextmanager
    def down(self, name: str) -> Iterator[Callable[[], None]]:
        """Time what is down inside; call what it yields when somebody else has taken over before that."""
        begin, first = time.time(), len(self.sender.alerts)
        moments: list[float] = []
        try:
            yield lambda: moments.append(time.time())
        finally:
            end = time.time()
            self.downs.append(Down(name, begin, end, first, min([*moments, end])))

    async def until(self, what: str, good: Callable[[], Awaitable[bool]], seconds: float = _COMES_BACK) -> None:
        """Poll until it is so; fails after `seconds`."""
        deadline = time.time() + seconds
        while not await good():
            assert time.time() < deadline, f"{what}: not within {seconds:.0f} s"
            await asyncio.sleep(_POLL)

    async def active(self, service: str) -> Holder:
        """The active replica's session; waits for one."""
        found: list[Holder] = []

        async def look() -> bool:
            holder = await self.probe.holder(service)
            found.extend([holder] if holder else [])
            return bool(found)

        await self.until(f"an active {service}", look)
        return found[0]

    async def taken_over(self, service: str, before: Holder) -> None:
        """Return when another session than `before` holds the lock."""

        async def look() -> bool:
            holder = await self.probe.holder(service)
            return holder is not None and holder.session != before.session

        await self.until(f"a new active {service}", look)

    def api(self) -> AbstractAsyncContextManager[AsyncPager]:
        """The HTTP API as the admin has it; `async with field.api() as api`."""
        return api_of(str(self.pager.run["gateway"]), self.roster.admin)

    async def until_paged(self, count: int, what: str) -> None:
        """Return when so many alerts were sent, and each of them is accepted, and paged or acknowledged."""

        async def look() -> bool:
            first = [self.sender.alerts[number] for number in range(min(count, len(self.sender.alerts)))]
            return (
                len(first) == count
                and all(alert.accepted_at is not None for alert in first)
                and all(acknowledges_at_once(number) or number >= count for number in self.waiting)
            )

        await self.until(what, look)

    # --- Rounds ------------------------------------------------------------------------------------------------------

    async def strike(self, scenario: str, kind: str, blow: Callable[[Field], Awaitable[None]]) -> Strike:
        """Deal one blow, wait until paging works and nothing waits, and say how long that took."""
        known = len(self.downs)
        await blow(self)
        struck = min(self.downs[known:], key=lambda down: down.begin)

        async def paging() -> bool:
            return self._paging_again(struck) is not None

        await self.until(f"a page after {scenario}", paging)
        again = self._paging_again(struck)
        assert again is not None
        await self.calm(scenario)
        end = time.time()
        down = sum(d.end - d.begin for d in self.downs[known:])
        takeover = max(d.taken_over - d.begin for d in self.downs[known:])
        silence = self.phones.longest_silence(struck.begin, end)
        done = Strike(scenario, kind, struck.begin, end, struck.first_alert, down, takeover, again, silence)
        self.strikes.append(done)
        return done

    def _paging_again(self, struck: Down) -> float | None:
        """Seconds from the blow to the first page of an alert sent after it; None before that."""
        found = self.phones.first_of_alerts_from(struck.first_alert, struck.begin)
        return None if found is None else found - struck.begin

    async def calm(self, scenario: str) -> None:
        """Hold the flow until all that was sent is accepted, and paged or acknowledged; then let it go on.

        Each blow falls on a stack that has recovered, however slow the machine.
        """
        self.sender.flowing = False

        async def look() -> bool:
            # Those who race their own page may end without one: whether they had to be paged is judged at the end.
            all_accepted = self.sender.accepted == len(self.sender.alerts)
            return all_accepted and all(acknowledges_at_once(number) for number in self.waiting)

        await self.until(f"every alert paged after {scenario}", look, _CATCHES_UP)
        self.sender.flowing = True

    async def come_to_rest(self, seconds: float) -> None:
        """No new alerts; return when every alert is accepted and every acknowledgement answered."""
        self.sender.flowing = False

        async def look() -> bool:
            answered = len(self.responders.answered) + len(self.responders.refused) == len(self.responders.wanted)
            return self.sender.accepted == len(self.sender.alerts) and answered

        await self.until("every alert accepted and every acknowledgement answered", look, seconds)


@asynccontextmanager
async def prepared_field(replicas: int, tag: str, rate: float, minutes: float) -> AsyncIterator[Field]:
    """A stack in `PAGER_HOME` with people, phones and actors; alerts do not flow yet."""
    async with AsyncExitStack() as held:
        pager = await held.enter_async_context(started_pager(replicas))
        roster = await make_roster(pager, minutes)
        probes = [Probe(pager.database_url("superuser")) for _ in range(2)]
        for probe in probes:
            held.push_async_callback(probe.close)
        attack = Field(
            pager,
            replicas,
            roster,
            Sender(str(pager.run["nats"]), roster, tag, rate),
            Phones(pager.simulator, tag),
            Responders(str(pager.run["gateway"]), roster, tag, probes[1]),
            probes[0],
        )
        actors = [asyncio.create_task(one.run()) for one in (attack.sender, attack.phones, attack.responders)]
        try:
            yield attack
        finally:
            for actor in actors:
                actor.cancel()
            for outcome in await asyncio.gather(*actors, return_exceptions=True):
                if isinstance(outcome, Exception):
                    raise outcome
