"""Auth is told who is at work in a browser: once a minute each, however often they ask, whether it hears or not."""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4

from libs.chassis.testing.clock import MovableClock
from libs.contracts.web_sessions import Present
from services.gateway.presence import Presences


class Auth:
    def __init__(self) -> None:
        self.is_away = False
        self.asked: list[dict[UUID, float]] = []

    async def tell(self, told: Present) -> None:
        self.asked.append({one.session_id: one.seconds_ago for one in told.sessions})
        if self.is_away:
            raise ConnectionError("away")


async def _asked(presences: Presences, session_id: UUID, clock: MovableClock) -> None:
    """Every second for ten seconds."""
    for _ in range(10):
        presences.asked(session_id)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        clock.advance(seconds=1)


async def test_while_auth_does_not_hear_it_is_not_asked_more_often() -> None:
    auth, clock, ana = Auth(), MovableClock(), uuid4()
    presences = Presences(auth.tell, clock)
    auth.is_away = True
    await _asked(presences, ana, clock)
    assert auth.asked == [{ana: 0}]
    await presences.catch_up()
    assert (auth.asked[1:], presences.untold) == ([{ana: 1}], [ana])
    auth.is_away = False
    await presences.catch_up()
    assert (auth.asked[2:], presences.untold) == ([{ana: 1}], [])
    clock.advance(minutes=1)
    await _asked(presences, ana, clock)
    assert auth.asked[3:] == [{ana: 0}]
    assert presences.untold == [ana]
