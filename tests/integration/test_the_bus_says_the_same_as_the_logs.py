"""Whoever replays from the bus is told where it differs from the logs, and what has merely expired."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any

import pytest
from nats.aio.client import Client

from cli.replay import bus, lines
from cli.replay.asked import Asked
from cli.replay.merge import Hole, Merge
from cli.replay.run import Replay
from libs.chassis.rebuild.history import History
from libs.contracts.subjects import SERVICES, Header
from tests.integration.test_replay_tells_the_whole_story import a_page_that_escalates, logs, replayed
from tests.world import World


async def test_the_bus_says_the_same_as_the_logs_or_where_it_does_not(world: World) -> None:
    await a_page_that_escalates(world)
    whole = sorted(replayed(world).splitlines())
    raw, found = await _from_bus(world)
    assert sorted(raw.splitlines()) == whole
    assert [line for one in found for line in one.lines()] == []

    # What a stream has lost at its beginning has expired; in its middle it is a difference.
    js = world.operator.jetstream()
    await js.delete_msg("NOTIFIER", 1)
    raw, found = await _from_bus(world)
    notifier = next(one for one in found if (one.service, str(one.lane)) == ("notifier", "urgent"))
    assert (notifier.expired, notifier.real) == (1, False)
    await js.delete_msg("NOTIFIER", 3)
    raw, found = await _from_bus(world)
    assert [one.service for one in found if one.real] == ["notifier"]
    assert any("missing on the bus" in line for one in found for line in one.lines())
    assert len(raw.splitlines()) == len(whole) - 2


async def test_what_only_the_bus_has_is_a_hole_in_the_log(world: World) -> None:
    await a_page_that_escalates(world)
    js = world.operator.jetstream()
    last = await js.get_last_msg("NOTIFIER", "pager.events.notifier.urgent.>")
    headers = {k: v for k, v in (last.headers or {}).items() if not k.startswith("Nats-")}
    position = int(headers[Header.POSITION])
    forged = headers | {Header.POSITION: str(position + 9), Header.PREVIOUS: str(position)}
    as_notifier = await world.servers.connect("notifier")
    try:
        await as_notifier.jetstream().publish(str(last.subject), last.data or b"", headers=forged)
    finally:
        await as_notifier.close()
    with pytest.raises(Hole, match=f"the log of notifier lacks position {position + 9}"):
        await _from_bus(world)


async def _from_bus(world: World) -> tuple[bytes, Sequence[bus.Differences]]:
    """What `pager replay --source bus` writes and finds."""
    client = await world.servers.connect("auditor")
    out = io.BytesIO()
    try:
        with logs(world) as histories:
            run = Replay(Asked(), lines.jsonl(SERVICES), out, Event())
            return await _in_thread(lambda loop: _read_bus(run, loop, client, histories), out)
    finally:
        await client.close()


def _read_bus(run: Replay, loop: Any, client: Client, histories: Sequence[History]) -> Sequence[bus.Differences]:
    sources = list(bus.lane_sources(run.asked, loop, client, histories))
    run.lines = lines.jsonl([source.service for source in sources])
    run.run(Merge(sources), lambda: None)
    for source in sources:
        source.close()
    return [source.differences for source in sources]


async def _in_thread(work: Callable[[Any], Any], out: io.BytesIO) -> tuple[bytes, Any]:
    running = bus.Here(asyncio.get_running_loop())
    found = await asyncio.to_thread(work, running)
    return out.getvalue(), found
