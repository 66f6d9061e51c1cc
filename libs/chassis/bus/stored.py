"""Single messages of a stream: which one stands at a place, and which comes next, or last, on some subjects."""

from __future__ import annotations

import calendar
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from libs.chassis.bus.connection import Bus, BusAway

_NO_MESSAGE = 10037
"""The server's number for it; that there is no such stream is another one."""


class Stored(NamedTuple):
    """What makes a message of a stream itself and no other: its sequence, and when it was stored."""

    sequence: int
    stored_at: int
    """Unix nanoseconds."""


async def message_at(bus: Bus, stream: str, sequence: int, timeout: float = 5.0) -> Stored | None:
    """The message with this sequence; None: there is none (any more).

    Raises:
        BusAway: no answer in `timeout` seconds.
    """
    return await _get(bus, stream, {"seq": sequence}, timeout)


async def next_message(
    bus: Bus, stream: str, subjects: Sequence[str], after: int, timeout: float = 5.0
) -> Stored | None:
    """The first message behind the sequence `after` on one of the subjects; None: there is none yet.

    Raises:
        BusAway: no answer in `timeout` seconds.
    """
    found = [await _get(bus, stream, {"seq": after + 1, "next_by_subj": s}, timeout) for s in subjects]
    return min((one for one in found if one is not None), default=None)


async def last_message(
    bus: Bus, stream: str, subjects: Sequence[str], first: int, last: int, timeout: float = 5.0
) -> Stored | None:
    """The last message with a sequence from `first` to `last` on one of the subjects, by halving; None: there is none.

    Raises:
        BusAway: no answer in `timeout` seconds to one of the questions.
    """
    found, low, high = None, first, last
    while low <= high:
        middle = (low + high) // 2
        following = await next_message(bus, stream, subjects, middle - 1, timeout)
        if following is None or following.sequence > last:
            high = middle - 1
        else:
            found, low = following, following.sequence + 1
    return found


async def _get(bus: Bus, stream: str, question: dict[str, Any], timeout: float) -> Stored | None:
    raw = await bus.request(f"$JS.API.STREAM.MSG.GET.{stream}", json.dumps(question).encode(), timeout=timeout)
    answer = json.loads(raw)
    if "error" in answer:
        if answer["error"].get("err_code") == _NO_MESSAGE:
            return None
        raise BusAway(f"{stream}: {answer['error'].get('description')}")
    return Stored(answer["message"]["seq"], nanoseconds(answer["message"]["time"]))


def nanoseconds(moment: str) -> int:
    """Unix nanoseconds of a time as the server writes it (RFC 3339, UTC); a datetime would round them."""
    whole, _, fraction = moment.removesuffix("Z").partition(".")
    return calendar.timegm(datetime.fromisoformat(whole).timetuple()) * 10**9 + int(fraction.ljust(9, "0") or 0)
