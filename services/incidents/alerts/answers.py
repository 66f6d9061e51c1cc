"""Acknowledgements and resolves of senders that wait until all that lies before them in ALERTS has been taken.

Triggers take effect at once. The two lanes of ALERTS are read beside one another: an answer that a lane reads before
the other has read what came earlier would act on nothing, or close what burns anew (docs/adr/0036).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ARRAY, BigInteger, any_, bindparam, select

from libs.chassis.bus.connection import BusAway
from libs.chassis.consume.apply import try_alone
from libs.chassis.consume.parking import park
from libs.chassis.parts import Engine
from libs.chassis.store.changes import Gone
from libs.chassis.store.cursors import Position
from libs.chassis.store.store import Store, passes
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS
from services.incidents.alerts.kept import kept_answers, parked_of, place_of, signal_of, tell_late
from services.incidents.alerts.outcomes import PARKED, late
from services.incidents.alerts.signals import take_signals
from services.incidents.alerts.stream import AlertStream
from services.incidents.inputs import Inputs, StoredInputs
from services.incidents.places import is_gone
from services.incidents.projections import SCHEMA

_log = structlog.get_logger()
_LOOK = 1000
"""Kept answers looked at together, the first ones in the stream."""
_BATCH = 500
_AGAIN = 1.0
_ASKED = 5.0
"""Seconds for a question to NATS, on which no page waits."""

_in_order = select(kept_answers).order_by(kept_answers.c.sequence)
_kept = _in_order.limit(_LOOK)
_those = _in_order.where(kept_answers.c.sequence == any_(bindparam("sequences", type_=ARRAY(BigInteger))))
_cursors = chassis_tables(SCHEMA).cursors
_read = select(_cursors.c.incarnation).where(_cursors.c.upstream == ALERTS, _cursors.c.position > 0)
"""As which stream each lane was read last."""


def settle(work: Work, rows: Sequence[dict[str, Any]], inputs: Inputs) -> None:
    """Kept answers take effect, in their order, and are kept no longer."""
    take_signals(work, [signal_of(row) for row in rows], inputs, tell=partial(tell_late, work))
    work.put(*(Gone(kept_answers, row) for row in rows))


@dataclass
class Settling(Engine):
    """Lets kept answers take effect, in the active replica: beside the readers, so that no trigger waits for it."""

    store: Store
    stream: AlertStream
    on_park: Callable[[], None] = lambda: None
    _some: bool = True
    """Whether any may be kept: what another replica kept is not known."""
    _times: int = 0
    """That a reader has kept some."""
    _first: Position | None = None
    """The first that waits, as a look has found it; None: another may be kept since."""
    _progress: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.stream.on_progress = self._moved

    def kept(self) -> None:
        """A reader has kept some."""
        self._some, self._times, self._first = True, self._times + 1, None
        self._progress.set()

    def any_kept(self) -> bool:
        """Whether an answer may wait that is earlier than what is read now."""
        return self._some

    def _moved(self) -> None:
        if self._some:
            self._progress.set()

    async def lead(self) -> None:
        """For ever: whenever a lane gets ahead, while any answer waits for one."""
        self._some, self._first = True, None
        self._progress.set()
        while True:
            await self._progress.wait()
            self._progress.clear()
            try:
                await self._settle()
            except Exception as error:
                if not (passes(error) or isinstance(error, BusAway)):
                    raise
                _log.warning("settling again", service=SCHEMA, reason=f"{type(error).__name__}: {error}")
                await asyncio.sleep(_AGAIN)
                self._progress.set()

    async def _settle(self) -> None:
        if self._first is not None and not await self._is_reached(self._first):
            return  # while a lane stands still, what the other takes costs no look
        before, self._first = self._times, None
        rows, is_ours = await self.store.read(self._look)
        if not is_ours:
            return  # another replica reads another stream than we know: what it keeps is not ours to judge
        if not rows:
            # Unless a reader has kept some meanwhile.
            self._some = before != self._times
            return
        due = await self._due(rows)
        for start in range(0, len(due), _BATCH):
            await self._take(due[start : start + _BATCH])
        if len(due) == len(rows):
            self._progress.set()  # look whether that was all
        elif not due and before == self._times:
            self._first = place_of(rows[0])._replace(incarnation=self.stream.incarnation)

    async def _is_reached(self, first: Position) -> bool:
        """Whether the first that waits may wait no longer. `first` is of the stream as it was when it was found."""
        if first.incarnation != self.stream.incarnation:
            return True
        for lane in Lane:
            if await self.stream.passed(lane, first.position, timeout=_ASKED) < first.position:
                return False
        return True

    def _look(self, work: Work) -> tuple[Sequence[dict[str, Any]], bool]:
        """The first ones, and whether the stream is still the one that we know: asked after them, so that it was then.

        A replica that was frozen, and is not the active one any more, may know of an earlier one.
        """
        ours = self.stream.incarnation
        rows, read = work.fetch(_kept), work.fetch(_read)
        return rows, all(cursor["incarnation"] == ours for cursor in read)

    async def _due(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those that both lanes have passed, and those of a stream that is no more: nothing can come before these."""
        incarnation = self.stream.incarnation
        if not incarnation:
            return []  # no reader has begun
        # How far a stream that is no more had come says nothing of this one.
        waiting = [place for row in rows if not is_gone(incarnation, place := place_of(row))]
        last = max((place.position for place in waiting), default=0)
        passed = min([await self.stream.passed(lane, last, timeout=_ASKED) for lane in Lane]) if waiting else 0
        still = {place for place in waiting if place.position > passed}
        return [row for row in rows if place_of(row) not in still]

    async def _take(self, rows: Sequence[dict[str, Any]]) -> None:
        """In one transaction; where that fails, each alone."""
        try:
            await self._transact(rows)
        except Exception as error:
            if passes(error):
                raise
            _log.warning("answers failed", service=SCHEMA, answers=len(rows), exc_info=True)
            for row in rows:
                await self._take_one(row)

    async def _take_one(self, row: dict[str, Any]) -> None:
        """One that fails each time is set aside, and keeps no other waiting."""
        reason = await try_alone(lambda: self._transact([row]))
        if reason is None:
            return
        _log.error("parked", service=SCHEMA, upstream=ALERTS, position=row["sequence"], reason=reason)
        await self._set_aside(row, reason)
        self.on_park()

    async def _set_aside(self, row: dict[str, Any], reason: str) -> None:
        def write(work: Work) -> None:
            for found in _still(work, [row]):
                park(work, SCHEMA, parked_of(found, reason))
                work.put(Gone(kept_answers, found), late(place_of(found), PARKED, work.now))

        await self.store.transact(write)

    async def _transact(self, rows: Sequence[dict[str, Any]]) -> None:
        await self.store.transact(lambda work: settle(work, _still(work, rows), StoredInputs(work)))


def _still(work: Work, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whoever else was quicker has taken the others away."""
    places = {place_of(row) for row in rows}
    found = work.fetch(_those, sequences=[place.position for place in places])
    return [row for row in found if place_of(row) in places]
