"""However large policies and schedules are, each stands in the list of them, on a page that fits into an answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

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
    """About 400 kB each, and the first of them has as many overrides as there may be. Their layers have ended."""
    layer = {"start": "2026-01-01T09:00", "end": "2026-01-02T09:00", "participants": [str(world.admin.user_id)] * 200}
    bodies = ({"name": f"Large {number}", "layers": [layer] * (50 if number else 1)} for number in range(_SCHEDULES))
    made = [await _made(world, "/on-call/schedules", "schedule", body) for body in bodies]
    for number in range(_OVERRIDES):  # while it is small: each is decided on all that it has
        start = world.clock.now() + timedelta(days=1, hours=number)
        times = {"startTime": start.isoformat(), "endTime": (start + timedelta(hours=1)).isoformat()}
        body = {"userId": str(world.admin.user_id)} | times
        await _made(world, f"/on-call/schedules/{made[0]}/overrides", "override", body)
    grown = await world.admin.call("PATCH", f"/on-call/schedules/{made[0]}", {"layers": [layer] * 50})
    assert grown.status == 200, grown.body
    return made


async def _walked(world: World, path: str, name: str, limit: int) -> list[str]:
    """The ids of all that is listed, page by page."""
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await world.admin.call("GET", f"{path}?limit={limit}{cursor}")
        assert answer.status == 200, answer.body
        rows, following = answer.data[name], answer.data["nextCursor"]
        seen += [row["id"] for row in rows]
        full = following is not None and len(rows) < limit
        assert answer.data["pagination"].get("endsEarly", False) == full
        if following is None:
            assert len(seen) == answer.data["pagination"]["total"]
            return seen
        assert full or limit <= 5
        cursor = f"&cursor={following}"


async def test_whoever_walks_sees_each_of_them_once(world: World) -> None:
    world.admin.user_id = UUID((await world.admin.call("GET", "/users/me")).data["user"]["id"])
    for path, name, made in (
        ("/escalation/policies", "policies", await _large_policies(world)),
        ("/on-call/schedules", "schedules", await _large_schedules(world)),
    ):
        for limit in (100, 20, 5, 1):
            seen = await _walked(world, path, name, limit)
            assert len(seen) == len(set(seen))
            assert set(made) < set(seen)
