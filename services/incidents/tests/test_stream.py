"""What is known of the stream ALERTS when it is not the one that was read."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.chassis.consume.owed import Alarm
from libs.chassis.store.cursors import Move, Position
from libs.contracts.model import Lane
from services.incidents.alerts.stream import AlertStream, Match
from services.incidents.places import changed

MADE = "2026-03-01 00:00:00+00:00"


class _Store:
    """Cursors of both lanes, which a decision may set."""

    def __init__(self, **positions: int) -> None:
        self.cursors = {lane: Position(0, positions[lane], 0, MADE) for lane in Lane}

    async def position(self, _upstream: str, lane: Lane) -> Position:
        return self.cursors[lane]

    async def read(self, _handler: Callable[[Any], Any]) -> list[Any]:
        return []

    async def transact(self, handler: Callable[[Any], Any], move: Move) -> None:
        handler(SimpleNamespace(put=self._put))
        self.cursors[Lane(move.lane)] = move.new

    def _put(self, row: Any) -> None:
        values = row.values
        self.cursors[Lane(values["lane"])] = Position(0, values["position"], values["sequence"], values["incarnation"])


async def _info(_stream: str) -> Any:
    return SimpleNamespace(created=MADE, state=SimpleNamespace(first_seq=1, last_seq=60))


@pytest.mark.parametrize(
    ("urgent", "cut"), [(Match.SAME, 50), (Match.UNKNOWN, 20)], ids=["both were compared", "one has no record"]
)
async def test_only_what_was_compared_says_up_to_where_the_stream_is_the_same(
    urgent: Match, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older release records nothing of what it takes: its cursor stays, and proves nothing."""
    store, told = _Store(urgent=50, routine=40), list[Alarm]()

    async def tell(alarm: Alarm) -> None:
        told.append(alarm)

    bus = SimpleNamespace(js=SimpleNamespace(stream_info=_info))
    stream = AlertStream(cast("Any", store), cast("Any", bus), tell)

    async def match(lane: Lane, *_: Any) -> Match:
        return urgent if lane is Lane.URGENT else Match.OTHER

    async def in_common(*_: Any) -> int:
        return 20

    monkeypatch.setattr(stream, "_match", match)
    monkeypatch.setattr(stream, "_last_in_common", in_common)
    known = changed(MADE, cut, MADE)
    assert await stream.resume() == known
    assert store.cursors == {Lane.URGENT: Position(0, 50, 0, known), Lane.ROUTINE: Position(0, 20, 0, known)}
    assert [alarm.dedup_key for alarm in told] == [f"alerts-stream:{MADE}"]
