"""Whatever incidents tells of what has happened is in the logs: made anew twice, each table has the same bytes."""

from __future__ import annotations

from typing import Any

from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import (
    contents,
    differences,
    origins_of,
    query,
    rebuilt,
)
from tests.integration.test_teams_see_their_own import team
from tests.world import World


async def _an_eventful_night(world: World) -> str:
    """Several alerts of one incident, which is raised, edited, answered, ended, reviewed and opened again."""
    ana, bo = await world.two_responders()
    shop = await team(world, "Shop", ana="manager", bo="member")
    made = await world.admin.call("POST", "/integrations", {"name": "shop", "type": "cloudevents", "teamId": shop})
    key = str(made.data["integration"]["key"])
    for pod in (1, 2, 3, 2):
        labels = {"pod": f"shop-{pod}", "zone": "a"}
        alert: dict[str, Any] = {
            "dedupKey": "shop",
            "routingKey": key,
            "priority": "low" if pod == 1 else "critical",
            "labels": labels,
        }
        await world.fire_alert(f"shop-{pod} restarts", **alert, metadata={"env": "production", "pods": [pod]})
        await world.settle()
    incident = str((await world.incident())["id"])
    await world.advance(minutes=6)
    path = f"/incidents/{incident}"
    assert (await ana.call("PATCH", path, {"title": "the basket is empty", "priority": "high"})).status == 200
    assert (await bo.acknowledge(incident, "on it")).status == 200
    assert (await ana.call("POST", f"{path}/notes", {"text": "the cache"})).status in (200, 201)
    assert (await bo.call("PATCH", "/users/me", {"timezone": "Asia/Kathmandu"})).status == 200
    await world.fire_alert(
        "shop-3 restarts", dedupKey="shop", routingKey=key, action="resolve", labels={"pod": "shop-3"}
    )
    await world.settle()
    world.clock.advance(minutes=5)
    assert (await bo.call("POST", f"{path}/resolve", {})).status == 200
    assert (await bo.call("POST", f"{path}/review")).status == 201
    assert (await bo.call("POST", f"{path}/reopen", {"notes": "it was not the cache"})).status == 200
    await world.advance(minutes=1)
    assert (await ana.acknowledge(incident)).status == 200
    await world.settle()
    world.clock.advance(seconds=1)
    return incident


async def _told(world: World, incident: str) -> list[Any]:
    """What is found by words and labels, the alerts, the audit, and the numbers until now."""
    until = f"?to={world.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    paths = [
        "/incidents?q=basket",
        "/incidents?q=restarts",
        "/incidents?metadata.env=production&sort=-updatedAt",
        f"/incidents/{incident}/alerts",
        f"/incidents/{incident}/audit",
        *(f"/analytics/{what}{until}" for what in ("summary", "response", "load", "noise")),
    ]
    answers = [await world.admin.call("GET", path) for path in paths]
    assert {answer.status for answer in answers} == {200}
    return [answer.data for answer in answers]


async def test_made_twice_they_have_the_same_bytes_and_tell_the_same(world: World) -> None:
    incident = await _an_eventful_night(world)
    before, told = await contents(world, "incidents"), await _told(world, incident)
    assert [len(found["incidents"]) for found in told[:3]] == [1, 0, 1], "by what it says now, and not by what it said"
    for table in origins_of("incidents").repeated.keys() - {"timers"}:
        some = f"SELECT 1 FROM incidents.{table} LIMIT 1"  # noqa: S608 - names of our own tables
        assert await query(world, some), f"{table} has something to repeat"
    for _time in range(2):
        done = await rebuilt(world, "incidents")
        assert done.swapped
        assert differences(done) == {}
        assert await contents(world, "incidents") == before
        assert await _told(world, incident) == told
