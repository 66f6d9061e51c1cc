"""ALERTS as both of its readers see it: whether it still is what was read of it, and how far each of them is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from nats.js.api import StreamInfo

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.stored import Stored, last_message, message_at, next_message
from libs.chassis.consume.owed import Alarm
from libs.chassis.store.changes import Row
from libs.chassis.store.cursors import START, Move, Position
from libs.chassis.store.store import Store
from libs.chassis.store.tables import chassis_tables
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS
from services.incidents.alerts.kept import KEPT_PATHS
from services.incidents.alerts.taken import LastOnes, known_among
from services.incidents.places import changed, created, longest
from services.incidents.projections import SCHEMA

READ = {Lane.URGENT: ("pager.alerts.*.*",), Lane.ROUTINE: ("pager.alerts.*", "pager.alerts.*.*.>")}
"""What each lane reads, by the shape of the subject: together all there are, and nothing twice. A source of two words
travels with the urgent ones."""
OTHER = {Lane.URGENT: Lane.ROUTINE, Lane.ROUTINE: Lane.URGENT}
END = 2**63 - 1
"""Behind all that a stream can hold."""
_ASKED = 0.5
"""Seconds for a question on the way of a page."""


class Match(Enum):
    """What is known of a lane's last taken alert by looking at the stream."""

    SAME = "it stands where it was taken"
    UNKNOWN = "nothing speaks against it"
    OTHER = "the stream is another one"


async def _tell_nobody(_alarm: Alarm) -> None:
    return


@dataclass
class AlertStream:
    """One for both readers of a replica."""

    store: Store
    bus: Bus
    tell: Callable[[Alarm], Awaitable[None]] = _tell_nobody
    """Page the admins; returns in seconds, also where that is not accepted yet."""
    at: dict[Lane, Position] = field(default_factory=lambda: dict.fromkeys(Lane, START))
    """What of each lane has taken effect, set after each commit; START: its reader has not begun."""
    incarnation: str = ""
    """As `places.py` has it; "" before a reader has begun."""
    on_progress: Callable[[], None] = lambda: None
    _empty_to: dict[Lane, int] = field(default_factory=lambda: dict.fromkeys(Lane, 0))
    """Nothing of the lane lies between its cursor and here."""
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def moved(self, lane: Lane, at: Position) -> None:
        """A reader begins there, or has come so far."""
        self.at[lane] = at
        self.on_progress()

    async def passed(self, lane: Lane, up_to: int, timeout: float = _ASKED) -> int:
        """Up to which sequence there is nothing that the lane has not taken; at least `up_to`, if it has passed that.

        A lane that is empty between its cursor and `up_to` has passed it: an idle one keeps nobody waiting.

        Raises:
            BusAway: no answer in `timeout` seconds.
        """
        at = self.at[lane]
        if at.position and at.incarnation != self.incarnation:
            return 0
        known = max(at.position, self._empty_to[lane])
        if known >= up_to:
            return known
        following = await next_message(self.bus, ALERTS, READ[lane], known, timeout)
        known = up_to if following is None else following.sequence - 1
        if self.at[lane].incarnation == at.incarnation:
            self._empty_to[lane] = known
        return known

    async def passed_at_once(self, lane: Lane, up_to: int) -> int:
        """As `passed`; 0 where that cannot be known now, for no page waits for it."""
        try:
            return await self.passed(lane, up_to)
        except BusAway:
            return 0

    # --- Continuity --------------------------------------------------------------------------------------------------

    async def resume(self) -> str:
        """The present incarnation. Where the stream is not the one that was read, cursors are set back, with an alarm.

        Each goes back to the last alert of its lane that the stream still holds as it was taken. All before that was
        taken, too: two streams that share a message share all that was stored before it. So a stream that was recreated
        is read from its start, and one that lost its end from where it ends.

        Raises:
            Overtaken: another replica reads.
            BusAway: the stream cannot be asked.
        """
        async with self._lock:
            info = await self.bus.js.stream_info(ALERTS)
            cursors = {lane: await self.store.position(ALERTS, lane) for lane in Lane}
            made = str(info.created)
            kept = [row["incarnation"] for row in await self.store.read(lambda work: work.fetch(KEPT_PATHS))]
            # An older release leaves the stream's own word alone in the cursors: what is kept may know the way to it.
            known = longest(
                [*(c.incarnation for c in cursors.values()), *(path for path in kept if created(path) == made)], made
            )
            found = {lane: await self._match(lane, cursor, info) for lane, cursor in cursors.items()}
            if Match.OTHER in found.values():
                await self.tell(_changed_alarm(known, made))
                ends = {
                    lane: await self._last_in_common(lane, info) if match is Match.OTHER else cursors[lane].position
                    for lane, match in found.items()
                }
                # Only what was seen to be the same says up to where it is.
                seen = [end for lane, end in ends.items() if found[lane] is not Match.UNKNOWN]
                known = changed(known, max(seen), made)
                await self._set_back(cursors, {lane: Position(0, end, 0, known) for lane, end in ends.items()})
            elif created(known) != made:
                known = changed(known, 0, made)  # nothing was read of the one before
            elif any(c.position and c.incarnation != known for c in cursors.values()):
                # Somebody died between two writes, or an older release has written the stream's own word.
                await self._set_back(cursors, {lane: c._replace(incarnation=known) for lane, c in cursors.items()})
            if known != self.incarnation:
                self.incarnation = known
                self.at, self._empty_to = dict.fromkeys(Lane, START), dict.fromkeys(Lane, 0)
            return known

    async def _match(self, lane: Lane, cursor: Position, info: StreamInfo) -> Match:
        """Whether what was taken last still stands at its place; it may have left the stream at its old end."""
        at = cursor.position
        if at == 0:
            return Match.UNKNOWN
        if created(cursor.incarnation) != str(info.created) or info.state.last_seq < at:
            return Match.OTHER
        if info.state.first_seq > at:
            return Match.UNKNOWN
        recorded = await self.store.read(lambda work: LastOnes(lane).at(work, at))
        if not recorded:
            return Match.UNKNOWN
        there = await message_at(self.bus, ALERTS, at)
        if there is None:
            return await self._match_before_hole(lane, at, info)
        return Match.SAME if there in recorded else Match.OTHER

    async def _match_before_hole(self, lane: Lane, at: int, info: StreamInfo) -> Match:
        """A message that was deleted says nothing by itself: whether the one before it in the lane was taken does."""
        before = await last_message(self.bus, ALERTS, READ[lane], info.state.first_seq, at)
        if before is None or await self._was_taken(lane, before):
            return Match.UNKNOWN
        # By an older release, it may have been: that records nothing.
        recorded = await self.store.read(lambda work: LastOnes(lane).up_to(work, before.sequence))
        return Match.UNKNOWN if recorded is None else Match.OTHER

    async def _was_taken(self, lane: Lane, message: Stored) -> bool:
        return bool(await self.store.read(lambda work: known_among(work, lane, [message])))

    async def _last_in_common(self, lane: Lane, info: StreamInfo) -> int:
        """The greatest sequence of the lane, as far as ends of batches tell, that stands as it was taken; 0: none.

        Where the end of a batch was deleted, what the lane has before it is looked at.
        """
        common, low, high = 0, info.state.first_seq, info.state.last_seq
        while low <= high:
            middle = (low + high) // 2
            last = await self.store.read(lambda work: LastOnes(lane).up_to(work, middle))  # noqa: B023 - awaited here
            if last is None or last.sequence < low:
                low = middle + 1
                continue
            there = await message_at(self.bus, ALERTS, last.sequence)
            there = there or await last_message(self.bus, ALERTS, READ[lane], low, last.sequence)
            if there is None:
                low = middle + 1
            elif await self._was_taken(lane, there):
                common, low = there.sequence, middle + 1
            else:
                high = there.sequence - 1
        return common

    async def _set_back(self, old: dict[Lane, Position], new: dict[Lane, Position]) -> None:
        """Both at once: a place in the new incarnation is never mistaken for one in the old."""
        table = chassis_tables(SCHEMA).cursors
        at = new[Lane.ROUTINE]
        row = {"upstream": ALERTS, "lane": str(Lane.ROUTINE), "epoch": at.epoch, "position": at.position}
        row |= {"sequence": at.sequence, "incarnation": at.incarnation}
        # A batch of the other reader that is under way fails at its commit, for its cursor has moved.
        move = Move(ALERTS, Lane.URGENT, old[Lane.URGENT], new[Lane.URGENT])
        await self.store.transact(lambda work: work.put(Row(table, row)), move)


def _changed_alarm(known: str, made: str) -> Alarm:
    return Alarm(
        "The stream ALERTS was recreated or shortened",
        f"alerts-stream:{known}",
        "Alerts that it had accepted and that were not read yet may be lost. What it holds and was not taken yet is"
        f" read now. Known: {known}; created: {made}.",
    )
