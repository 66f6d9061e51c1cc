"""What a feed hands out of the messages that it is given, and from where it begins: by hand, without a server."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from libs.chassis.bus.connection import BusAway
from libs.chassis.bus.pull import Received
from libs.chassis.consume.feed import Feed
from libs.chassis.store.cursors import START, Position
from libs.contracts.model import Lane

CREATED, RECREATED = "2026-11-25", "2026-11-26"


def message(position: int, previous: int, epoch: int = 1) -> Received:
    """An event as its relay publishes it; its sequence in the stream is its position and 100 more."""
    block = (
        f"NATS/1.0\r\nNats-Msg-Id: incidents/{epoch}/{position}\r\nPager-Position: {position}\r\n"
        f"Pager-Previous: {previous}\r\nce-specversion: 1.0\r\nce-id: x\r\nce-source: y\r\nce-type: a.Type.v1\r\n\r\n"
    )
    return Received("pager.events.incidents.urgent.Type.x", block.encode(), b"{}", position + 100, 0)


class Stream:
    """What the stream holds, by sequence, as far as a feed asks for it."""

    def __init__(self, *messages: Received, created: str = CREATED) -> None:
        self.held = {m.sequence: m for m in messages}
        self.created = created

    async def stream_info(self, _name: str) -> Any:
        return SimpleNamespace(created=self.created, state=SimpleNamespace(last_seq=max(self.held, default=0)))


class Reader:
    """A consumer on it, from a sequence on."""

    def __init__(self, stream: Stream, start: int) -> None:
        self._left = sorted(sequence for sequence in stream.held if sequence >= start)
        self.behind, self._held = len(self._left), stream.held

    async def first(self) -> Received:
        return self._held[self._left[0]]


def feed(at: Position, stream: Stream | None = None, only: Sequence[str] = ()) -> Feed:
    bus: Any = SimpleNamespace(js=stream or Stream())
    made = Feed(bus, "incidents", Lane.URGENT, only=tuple(only))
    made._at, made._incarnation = at, CREATED
    return made


def places(made: Feed, *messages: Received) -> tuple[list[int], list[int]]:
    """Positions of (what is handed out, what does not follow)."""
    items, rest = made._in_order(messages)
    assert made._at == (items[-1].at if items else made._at)
    return [item.at.position for item in items], [m.sequence - 100 for m in rest]


def test_what_follows_is_handed_out_with_its_place_in_the_stream() -> None:
    made = feed(Position(1, 3))
    assert places(made, message(4, 3), message(7, 4)) == ([4, 7], [])
    assert made._at == Position(1, 7, 107, CREATED)


def test_what_was_handed_out_already_and_what_is_of_an_earlier_epoch_is_not_again() -> None:
    assert places(feed(Position(2, 4)), message(3, 1, 2), message(4, 3, 2), message(9, 8, 1), message(5, 4, 2)) == (
        [5],
        [],
    )


def test_what_does_not_follow_stops_it_there_also_in_the_middle() -> None:
    """The message in between was lost by the stream: its owner is asked, and nothing is skipped."""
    assert places(feed(Position(1, 3)), message(4, 3), message(7, 6), message(8, 7)) == ([4], [7, 8])
    assert places(feed(Position(1, 3)), message(5, 4)) == ([], [5])


def test_whoever_gets_only_some_types_sees_gaps_that_are_none() -> None:
    assert places(feed(Position(1, 3), only=["a.Type.v1"]), message(5, 4), message(9, 8)) == ([5, 9], [])


def test_a_later_epoch_stops_it_there() -> None:
    """Its position may be lower, and may also be one that follows: which it is says the owner."""
    assert places(feed(Position(1, 3)), message(4, 3), message(5, 4, 2)) == ([4], [5])


def test_whoever_knows_no_epoch_yet_begins_with_the_first_that_comes() -> None:
    made = feed(START)
    assert places(made, message(4, 0, 3), message(5, 4, 3)) == ([4, 5], [])
    assert made._at.epoch == 3


@pytest.mark.parametrize(("began_after", "goes_on_from"), [(2, 2), (9, 5)])
def test_a_new_epoch_is_followed_from_where_it_began_or_from_where_we_are(began_after: int, goes_on_from: int) -> None:
    made = feed(Position(1, 5, 105, CREATED))
    batch = made._change_epoch(2, began_after)
    assert (list(batch.items), batch.at, made._at) == ([], Position(2, goes_on_from, 0, CREATED), batch.at)


def test_an_owner_that_is_back_in_an_earlier_epoch_is_not_followed() -> None:
    made = feed(Position(3, 5))
    with pytest.raises(BusAway, match="back in epoch 2"):
        made._change_epoch(2, 0)
    assert made._at == Position(3, 5)


AT = Position(1, 5, 105, CREATED)
WHOLE = Stream(message(4, 3), message(5, 4), message(6, 5))


@pytest.mark.parametrize(
    ("at", "stream", "begins"),
    [
        (AT, WHOLE, (105, True)),
        (START, WHOLE, (1, False)),
        # The stream was made anew, and another message lies where ours had been: what it holds says nothing.
        (AT, Stream(message(5, 4), created=RECREATED), (106, False)),
        (AT, Stream(message(4, 3), message(6, 5)._replace(sequence=105)), (105, False)),
        (AT, Stream(message(5, 4, epoch=2)), (105, False)),
        # It has lost its tail, or the message at our place.
        (AT, Stream(message(4, 3)), (105, False)),
        (AT, Stream(message(4, 3), message(6, 5)), (105, False)),
        (AT._replace(sequence=0), WHOLE, (107, False)),
    ],
)
async def test_it_goes_on_from_its_place_only_where_the_stream_surely_holds_all_that_follows(
    at: Position, stream: Stream, begins: tuple[int, bool]
) -> None:
    made = feed(at, stream)
    reader: Any = Reader(stream, start := await made._start())
    assert (start, await made._goes_on(reader)) == begins
