"""Promise: maintenance refuses people's changes within a second, and never a page, its answer or its escalation."""

from __future__ import annotations

from datetime import timedelta

from libs.chassis.testing.deadline import in_time
from tests.world import World


async def _refused(world: World) -> bool:
    answer = await world.admin.call("POST", "/teams", {"name": "Shop"})
    if answer.status == 503:
        assert answer.body["error"]["code"] == "MAINTENANCE", answer.body
        assert 1 <= int(answer.headers["Retry-After"]) <= 300
    return answer.status == 503


async def test_maintenance_stops_people_and_no_page(world: World) -> None:
    first, second = await world.two_responders()
    until = (world.clock.now() + timedelta(hours=2)).isoformat()
    begun = await world.admin.call("POST", "/admin/maintenance", {"message": "new disks", "until": until})
    assert (begun.status, begun.data["maintenance"]["enabled"]) == (200, True), begun.body
    assert await _refused(world)
    assert (await first.call("POST", "/admin/maintenance", {"enabled": False})).status == 403
    for wrong in ({"until": (world.clock.now() - timedelta(minutes=1)).isoformat()}, {"until": "2999-01-01T00:00:00Z"}):
        assert (await world.admin.call("POST", "/admin/maintenance", wrong)).status == 400

    await world.fire_alert("db down", priority="critical")
    await first.expect_push("db down")
    await world.advance(minutes=20)
    await second.expect_push("db down")
    incident = await world.incident("db down")
    for step in ("acknowledge", "resolve"):
        answer = await second.call("POST", f"/incidents/{incident['id']}/{step}", {})
        assert answer.status == 200, answer.body

    await world.stop("auth")
    assert await _refused(world), "what was said holds while auth is away"
    await world.start("auth")
    async with in_time():
        while (shown := await world.admin.call("GET", "/admin/maintenance")).status != 200:
            pass
    assert (shown.data["maintenance"]["message"], shown.data["maintenance"]["until"][:16]) == ("new disks", until[:16])
    again = await world.admin.call("POST", "/admin/maintenance", {"message": "new disks", "until": until})
    assert again.data == shown.data, "the same is no change"
    ended = await world.admin.call("DELETE", "/admin/maintenance")
    assert (ended.status, ended.data["maintenance"]["enabled"]) == (200, False)
    assert not await _refused(world)
    assert len(await world.log("auth", "MaintenanceChanged")) == 2
    told = await world.admin.call("GET", "/audit?resource=maintenance")
    assert [entry["new"]["enabled"] for entry in told.data["entries"]] == [False, True]


async def test_maintenance_ends_by_itself(world: World) -> None:
    until = (world.clock.now() + timedelta(minutes=10)).isoformat()
    assert (await world.admin.call("POST", "/admin/maintenance", {"until": until})).status == 200
    assert await _refused(world)
    await world.advance(minutes=11)
    await world.admin.sign_in()
    assert not await _refused(world)
    assert (await world.admin.call("GET", "/admin/maintenance")).data["maintenance"]["enabled"] is False
