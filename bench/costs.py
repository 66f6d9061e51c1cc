"""What a request of each kind costs whom: processor time, one request after another, as microseconds each.

Less depends on what else the machine does than of times: it says where a millisecond goes, and what answering from
memory would save.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from bench.crowd import Crowd, told
from bench.open_loop import Loop
from bench.stack import RunningPager, cpu_seconds
from bench.visits import MIX, Team, Visitor


async def costs(pager: RunningPager, here: Crowd, times: int) -> dict[str, dict[str, int]]:
    """By kind and process; what is below 20 µs is left out."""
    everything = told(here.people, here.teams)
    teams = {team["id"]: Team.of(team) for team in everything["teams"]}
    found = {}
    for kind in MIX:
        person: Mapping[str, Any] = everything["people"][1]
        visitor = Visitor(person, teams[person["team"]], {kind: 1}, random.Random(7))
        await _ask(here.url, visitor, 20)
        before = cpu_seconds(pager.pids())
        await _ask(here.url, visitor, times)
        used = cpu_seconds(pager.pids())
        each = {name: round(1e6 * (used[name] - before[name]) / times) for name in used}
        found[kind] = {name: spent for name, spent in each.items() if spent >= 20} | {"all": sum(each.values())}
    return found


async def _ask(url: str, visitor: Visitor, times: int) -> None:
    door = await Loop(url, 1, 1, 0).connect()
    for _ in range(times):
        ask = visitor.next()
        await door.ask(ask.request)
        visitor.heard(ask, door.status, door.etag, b"".join(door.body))
        if door.status not in ask.good:
            raise SystemExit(f"{ask.method} {ask.path}: {door.status} {b''.join(door.body)[:300]!r}")
