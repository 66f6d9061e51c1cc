"""From a change to the frames that tell it: asked once, written once for all who see the same, told in order."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic, time
from typing import Final, Literal
from uuid import UUID

import structlog

from services.gateway.envelope import Problem
from services.gateway.streaming.audience import Audience, Listener, Rights
from services.gateway.streaming.feeds import LANES, Change
from services.gateway.streaming.positions import Place, Places, position, text_of
from services.gateway.streaming.recent import Recent
from services.gateway.streaming.states import AT_ONCE, Incidents, State

_log = structlog.get_logger()
_PAUSE: Final = 0.02
"""Seconds between two questions: what comes meanwhile is asked together."""
_AGAIN: Final = 0.2
"""Seconds until what has no effect yet is looked at again, or incidents is asked that did not answer."""
_PATIENCE: Final = 30.0
"""Seconds for which a change waits for its effect: in a storm incidents reads ESCALATION 15 s late."""
_STALLED: Final = 5.0
"""A change that is not told after so many seconds is late, and whoever listens hears that there are such."""
_MANY: Final = 2_000
"""Changes that wait: from here on of each incident only the newest is told."""
_REMEMBERED: Final = 20_000
"""Incidents of which it is known who saw them last."""
_BREATH: Final = 500
"""Frames after which everybody else of this process has a turn: an acknowledgement waits for none of this."""

Delay = Callable[[float], None]
Missed = Sequence[Change] | Literal["too_old", "another_epoch", "unknown_position", "other_rights"]
"""What somebody has not been told yet, or why that cannot be said."""


@dataclass
class Hub:
    """`run()` it. It is what `Feeds` gives changes to, and what connections `join`."""

    incidents: Incidents
    delayed: Delay
    """Called with the seconds from the bus to the listeners' buffers, for each change that was told to somebody."""
    recent: Recent = field(default_factory=Recent)
    audience: Audience = field(default_factory=Audience)
    _waiting: list[deque[tuple[float, Change]]] = field(default_factory=lambda: [deque() for _ in LANES])
    """By lane, with when they came."""
    _resting: list[float] = field(default_factory=lambda: [0.0] * len(LANES))
    """Until when each lane is not looked at."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _alone: bool = False
    """Whether incidents did not answer the last time."""
    _saw: OrderedDict[UUID, State] = field(default_factory=OrderedDict)
    """Whose an incident was when it was last told of."""

    # --- What the feeds say ------------------------------------------------------------------------------------------

    def begin(self, lane: int, after: Place) -> None:
        self.recent.begin(lane, after)

    def take(self, changes: Sequence[Change], *, past: bool) -> None:
        self.incidents.forget(change.incident_id for change in changes)
        if past:
            for change in changes:
                self.recent.add(change)
            return
        now = monotonic()
        for change in changes:
            self._waiting[change.lane].append((now, change))
        self._news.set()

    def lose(self, lane: int, after: Place) -> None:
        known = self.recent.told[lane]
        self._waiting[lane].clear()
        self.recent.begin(lane, after)
        for listener in self.audience:
            listener.put(self.reset(listener.rights, "another_epoch" if after.epoch != known.epoch else "too_old"))

    def begin_again(self) -> None:
        """Whatever waits has brought us down: whoever was not told of it lists again."""
        for index, lane in enumerate(self._waiting):
            if lane:
                self.recent.begin(index, lane[-1][1].place)
                lane.clear()

    # --- What listeners ask ------------------------------------------------------------------------------------------

    def join(self, listener: Listener, after: Places | None) -> Missed:
        """From now on it is told what happens; returns what it has missed, to be told before that."""
        missed: Missed = () if after is None else self.recent.since(after)
        self.audience.add(listener)
        return missed

    def position(self, rights: Rights) -> str:
        """Where everybody stands."""
        return position(text_of(self.recent.told), rights.name)

    def reset(self, rights: Rights, reason: str) -> str:
        return f'{{"type":"reset","position":"{self.position(rights)}","reason":"{reason}"}}'

    @property
    def stalled(self) -> bool:
        """Whether something is late."""
        oldest = min((lane[0][0] for lane in self._waiting if lane), default=None)
        return oldest is not None and monotonic() - oldest > _STALLED

    async def missed(self, listener: Listener, changes: Sequence[Change], after: Places) -> Sequence[str]:
        """The frames of some of what a listener has missed. Raises Problem: incidents does not answer."""
        until = monotonic() + _STALLED
        while True:
            found = await self.incidents.of(changes)
            if not found.early or monotonic() > until:
                break
            await asyncio.sleep(_AGAIN)
        places, frames = list(after), list[str]()
        for change in changes:
            places[change.lane] = change.place
            state = None if change.incident_id is None else found.states.get(change.incident_id)
            if state is not None and listener.rights.show(state, listener.person):
                frames.append(_told(change, position(text_of(places), listener.rights.name), state))
        return frames

    # --- Telling -----------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever: tell what comes."""
        while True:
            await self._news.wait()
            self._news.clear()
            if not self.audience:
                self.pass_over()
                continue
            try:
                await self._tell(self._some())
                self._alone = False
            except Problem as problem:
                if not self._alone:
                    _log.warning("streams wait", reason=problem.message)
                self._alone = True
                self._rest(*range(len(LANES)))
            if any(self._waiting):
                self._news.set()
            await asyncio.sleep(_PAUSE)

    def pass_over(self) -> None:
        """Nobody listens: it is kept for whoever comes back."""
        for lane in self._waiting:
            while lane:
                self.recent.add(lane.popleft()[1])

    def _some(self) -> list[Change]:
        """What is told next, in the order in which it came; it stays where it is until it was told."""
        if sum(map(len, self._waiting)) > _MANY:
            self._thin_out()
        now = monotonic()
        lanes = [lane for index, lane in enumerate(self._waiting) if self._resting[index] <= now]
        came = sorted((pair for lane in lanes for pair in islice(lane, AT_ONCE)), key=lambda pair: pair[0])
        return [change for _, change in came[:AT_ONCE]]

    def _rest(self, *lanes: int) -> None:
        """Look at these again in a moment, and meanwhile at the others."""
        for index in lanes:
            self._resting[index] = monotonic() + _AGAIN

    def _thin_out(self) -> None:
        """There is more than can be told: of each incident the newest."""
        for index, lane in enumerate(self._waiting):
            newest = {change.incident_id: change.place for _, change in lane}
            last = lane[-1][1].place if lane else None
            self._waiting[index] = deque(
                pair for pair in lane if newest[pair[1].incident_id] == pair[1].place or pair[1].place == last
            )

    async def _tell(self, changes: Sequence[Change]) -> None:
        """Tell these; of a lane none after one that has no effect yet. Raises Problem: incidents does not answer."""
        found = await self.incidents.of(changes)
        stopped: set[int] = set()
        frames = 0
        for change in changes:
            lane = self._waiting[change.lane]
            if change.lane in stopped or not lane or lane[0][1] != change:
                continue  # it was lost meanwhile
            if change in found.early and monotonic() - lane[0][0] < _PATIENCE:
                stopped.add(change.lane)
                continue
            lane.popleft()
            self.recent.add(change)
            if change.incident_id is not None and change.incident_id not in found.unread:
                frames += self._spread(change, found.states.get(change.incident_id))
            if frames >= _BREATH:
                frames = 0
                await asyncio.sleep(0)
        self._rest(*stopped)

    def _spread(self, change: Change, state: State | None) -> int:
        """Give it to all who see it; returns to how many."""
        assert change.incident_id is not None  # noqa: S101 - its caller has looked
        places, told = text_of(self.recent.told), 0
        before = self._saw.pop(change.incident_id, None)
        if before is not None and (state is None or before[1:] != state[1:]):
            told += self._hide(change.incident_id, before, state, places)
        if state is None:
            return told
        self._saw[change.incident_id] = state._replace(json="")
        if len(self._saw) > _REMEMBERED:
            self._saw.popitem(last=False)
        for rights, listeners in self.audience.of(state):
            frame = _told(change, position(places, rights.name), state)
            for listener in listeners:
                listener.put(frame)
            told += len(listeners)
        if told:
            self.delayed(max(0.0, time() - change.stored_at))
        return told

    def _hide(self, incident_id: UUID, before: State, state: State | None, places: str) -> int:
        """Tell whoever saw it and does not any more."""
        told = 0
        for rights, listeners in self.audience.of(before):
            for listener in listeners:
                if state is None or not rights.show(state, listener.person):
                    where = position(places, rights.name)
                    listener.put(f'{{"type":"gone","position":"{where}","incident":{{"id":"{incident_id}"}}}}')
                    told += 1
        return told


def _told(change: Change, where: str, state: State) -> str:
    return f'{{"type":"{change.type}","position":"{where}","incident":{state.json}}}'
