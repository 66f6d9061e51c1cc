"""`GET /incidents/{id}/audit`: every change with what was and what is, by whom, from where and why."""

from __future__ import annotations

from typing import Any

from psycopg import AsyncConnection

from tests.integration.test_teams_see_their_own import team
from tests.security.test_who_did_what_is_told import AGENT, HOME, at, told, where, world
from tests.world import World

__all__ = ["world"]


async def _changes(world: World, incident: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.admin.call("GET", f"/incidents/{incident}/audit{query}")).data["entries"]
    return found


async def test_each_change_is_told_with_before_and_after_and_from_where(world: World) -> None:
    await world.person("ana")
    await world.policy((15, "ana"))
    made = await world.admin.call("POST", "/incidents", {"title": "db down", "priority": "low"}, **at(HOME))
    incident = made.data["incident"]["id"]
    await world.admin.call("PATCH", f"/incidents/{incident}", {"title": "db slow", "metadata": {"a": "1"}}, **at(HOME))
    await world.admin.call("POST", f"/incidents/{incident}/acknowledge", {"notes": "mine"}, **at(HOME))
    await world.settle()
    of_people = [one for one in await _changes(world, incident) if one["actor"]["kind"] == "user"]
    created, edited, acknowledged = of_people
    assert (created["action"], created["old"], created["new"]["title"]) == ("IncidentCreated", None, "db down")
    assert (edited["action"], edited["old"], edited["new"]) == (
        "IncidentEdited",
        {"title": "db down", "metadata": {}},
        {"title": "db slow", "metadata": {"a": "1"}},
    )
    assert (acknowledged["old"]["status"], acknowledged["new"]["status"]) == ("created", "acknowledged")
    assert acknowledged["new"]["acknowledgementNotes"] == "mine"
    for one in (created, edited, acknowledged):
        assert one["actor"] == {"kind": "user", "id": str(world.admin.user_id)}
        assert where(one) == (HOME, AGENT), one
    entry = await told(world, "IncidentEdited", f"&resource=incidents/{incident}")
    assert (entry["old"], entry["new"], where(entry)) == (edited["old"], edited["new"], (HOME, AGENT))


async def test_what_nobody_did_is_told_and_adds_nothing_to_the_audit_of_people(world: World) -> None:
    ana = await world.person("ana")
    await world.policy((15, "ana"))
    await world.fire_alert()
    await ana.expect_push("db down")
    await world.advance(minutes=15)
    await world.settle()
    (incident,) = await world.incidents()
    changes = await _changes(world, incident["id"])
    assert [one["action"] for one in changes][:2] == ["IncidentCreated", "IncidentEscalated"]
    assert changes[0]["actor"]["kind"] == "integration"
    assert changes[1]["causationId"] is not None
    assert {where(one) for one in changes} == {(None, None)}
    assert (await world.admin.call("GET", "/audit?resource=incidents")).data["entries"] == []


async def test_it_is_read_page_by_page_and_without_the_read_models(world: World) -> None:
    made = await world.admin.call("POST", "/incidents", {"title": "db 0"})
    incident = made.data["incident"]["id"]
    for number in range(1, 6):
        await world.admin.call("PATCH", f"/incidents/{incident}", {"title": f"db {number}"})
    url = world.servers.database_url("superuser", world.database)
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("TRUNCATE incidents.incidents, incidents.timeline, incidents.responders")
    titles: list[str] = []
    cursor = ""
    while True:
        page = (await world.admin.call("GET", f"/incidents/{incident}/audit?limit=2{cursor}")).data
        titles += [one["new"]["title"] for one in page["entries"] if "title" in one["new"]]
        if page.get("nextCursor") is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert titles == [f"db {number}" for number in range(6)]
    for bad in ("x", f"{cursor[8:]}A"):
        answer = await world.admin.call("GET", f"/incidents/{incident}/audit?cursor={bad}")
        assert (answer.status, answer.body["error"]["details"]["field"]) == (400, "cursor")


async def test_from_where_somebody_acted_is_the_admins_affair_and_another_teams_is_not_there(world: World) -> None:
    ana = await world.person("ana")
    await world.person("bo")
    await world.policy((15, "ana"))
    shop = await team(world, "Shop", ana="member")
    made = await world.admin.call("POST", "/incidents", {"title": "db down", "teamId": shop}, **at(HOME))
    incident = made.data["incident"]["id"]
    await ana.sign_in()
    created = (await ana.call("GET", f"/incidents/{incident}/audit")).data["entries"][0]
    assert where(created) == ("[hidden]", "[hidden]")
    assert (await world.phone("bo").call("GET", f"/incidents/{incident}/audit")).status == 404
