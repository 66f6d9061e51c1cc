"""A service that begins with an empty database beside full streams pages whom it should (promise 12)."""

from __future__ import annotations

import asyncio

import pytest

from libs.chassis.consume.follower import Follower
from libs.chassis.testing.deadline import in_time
from libs.contracts.escalation import EscalationDue
from tests.world import World

_FIRST = {"auth", "oncall"}


@pytest.mark.services("auth", "oncall", "incidents")
@pytest.mark.parametrize("slow", sorted(_FIRST))
async def test_nobody_is_paged_before_people_and_shifts_are_known(
    world: World, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, lead = await world.person("ana", "ios"), await world.person("lee", roles=("lead",))
    await world.on_call("ana")
    await world.fire_alert("it burned before anybody was there", priority="critical")
    await world.settle()
    held, begun, run = asyncio.Event(), set[str](), Follower.run

    async def late(self: Follower) -> None:
        begun.add(self.upstream)
        if (self.service, self.upstream) == ("escalation", slow):
            await held.wait()
        await run(self)

    monkeypatch.setattr(Follower, "run", late)
    await world.start("escalation")
    (other,) = _FIRST - {slow}
    readers = {reader.upstream: reader for reader in world.services["escalation"].readers}
    async with in_time():
        await readers[other].caught_up.wait()
        while slow not in begun:
            await world.health("escalation")
    for _ in range(20):  # whatever would begin beside them has had its time
        await world.health("escalation")
    assert begun == _FIRST
    assert not await world.log("escalation", "EscalationStarted")
    held.set()
    await world.start("notifier")
    await ana.expect_push("it burned before anybody was there")
    (due,) = await world.log("escalation", "EscalationDue")
    assert isinstance(due.data, EscalationDue)
    assert (due.data.level, [paged.user_id for paged in due.data.people], due.data.reason) == (1, [ana.user_id], None)
    await lead.expect_no_push()
