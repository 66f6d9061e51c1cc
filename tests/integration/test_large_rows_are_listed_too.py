"""However large policies and schedules are, each stands in the list of them, on a page that fits into an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.world import World

_POLICIES, _SCHEDULES, _OVERRIDES = 12, 8, 200


async def _made(world: World, path: str, name: str, body: dict[str, Any]) -> str:
    answer = await world.admin.call("POST", path, body)
    assert answer.status == 201, answer.body
    return str(answer.data[name]["id"])


async def _large_policies(world: World) -> list[str]:
    """About 150 kB each."""
    targets = [{"type": "user", "id": str(world.admin.user_id)}] * 100
    levels = [{"timeoutMinutes": 15, "targets": targets}] * 20
    bodies = ({"name": f"Large {number:02}", "levels": levels} for number in range(_POLICIES))
    return [await _made(world, "/escalation/policies", "policy", body) for body in bodies]


async def _large_schedules(world: World) -> list[str]:
    """About 300 kB each, and the first of them has as many overrides as there may be."""
    layer = {"start": "2026-01-01T09:00", "participants": [str(world.admin.user_id)] * 200}
    bodies = ({"name": f"Large {number}", "layers": [layer] * 40} for number in range(_SCHEDULES))
    made = [await _made(world, "/on-call/schedules", "schedule", body) for body in bodies]
    for number in range(_OVERRIDES):
        start = world.clock.now() + timedelta(days=1, hours=number)
        body = {"userId": str(world.admin.user_id)} | {
            "startTime": start.isoformat(),
            "endTime": (start + timedelta(hours=1)).isoformat(),
        }
        await _made(world, f"/on-call/schedules/{made[0]}/overrides", "override", body)
    return made


@pytest.mark.parametrize("limit", [100, 20, 5])
async def test_whoever_walks_sees_each_of_them_once(world: World, limit: int) -> None:
    me = await world.admin.call("GET", "/users/me")
    world.admin.user_id = me.data["user"]["id"]
    for path, name, made in (
        ("/escalation/policies", "policies", await _large_policies(world)),
        ("/on-call/schedules", "schedules", await _large_schedules(world)),
    ):
        seen, query = [], f"limit={limit}"
        while True:
            answer = await world.admin.call("GET", f"{path}?{query}")
            assert answer.status == 200, answer.body
            full = answer.data["pagination"].get("endsEarly", False)
            assert full == (answer.data["nextCursor"] is not None and len(answer.data[name]) < limit)
            assert full or answer.data["nextCursor"] is None
            seen += [row["id"] for row in answer.data[name]]
            if answer.data["nextCursor"] is None:
                break
            query = f"limit={limit}&cursor={answer.data['nextCursor']}"
        assert len(seen) == len(set(seen)) == answer.data["pagination"]["total"]
        assert set(made) < set(seen)
