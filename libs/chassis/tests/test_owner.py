"""Who must not be told what is private asks for the rest, and never long for what the bus would not carry."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import pytest

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.consume.owner import Owner, Refused
from libs.contracts.model import Lane

_PAGE = b'{"ok": true, "data": {"epoch": 1, "epochAfter": 0, "events": [], "last": 0}}'
_PLACE = b'{"ok": true, "data": {"epoch": 1, "epochAfter": 0, "lanes": {}}}'


class _Asked:
    """A bus on which some operations are answered."""

    def __init__(self, answered: Collection[str]) -> None:
        self.answered, self.asked = answered, list[str]()

    async def request(self, subject: str, _body: bytes, **_: Any) -> bytes:
        operation = subject.rpartition(".")[2]
        self.asked.append(operation)
        if operation not in self.answered:
            raise BusAway("nobody listens")
        return _PLACE if operation == "position" else _PAGE


@pytest.mark.parametrize(
    ("bus", "asked"),
    [
        (_Asked({"public_events", "position"}), ["position", "public_events"]),
        (_Asked({"events", "position"}), ["position", "public_events", "events"]),
    ],
    ids=["as it is", "of the release before"],
)
async def test_what_is_public_is_asked_for_first(bus: _Asked, asked: list[str]) -> None:
    await Owner(cast("Bus", bus), "auth", private=False).events(1, Lane.ROUTINE, 0)
    assert bus.asked == asked


async def test_an_owner_that_is_away_is_asked_nothing_that_is_forbidden() -> None:
    """The bus says nothing of a request that it does not carry: whoever waits for an answer is deaf meanwhile."""
    bus = _Asked(())
    with pytest.raises(BusAway):
        await Owner(cast("Bus", bus), "auth", private=False).events(1, Lane.ROUTINE, 0)
    assert bus.asked == ["position"]


async def test_a_refusal_is_an_answer() -> None:
    class _Refusing(_Asked):
        async def request(self, subject: str, _body: bytes, **_: Any) -> bytes:
            self.asked.append(operation := subject.rpartition(".")[2])
            return (
                _PLACE if operation == "position" else b'{"ok": false, "error": {"kind": "internal", "message": "no"}}'
            )

    bus = _Refusing(())
    with pytest.raises(Refused):
        await Owner(cast("Bus", bus), "auth", private=False).events(1, Lane.ROUTINE, 0)
    assert bus.asked == ["position", "public_events"]
