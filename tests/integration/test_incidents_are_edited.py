"""People say what an incident is about and how bad it is; whoever finds it worse pages for it."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Answer
from tests.world import World


async def _edit(world: World, incident: str, body: dict[str, Any], **headers: str) -> Answer:
    return await world.admin.call("PATCH", f"/incidents/{incident}", body, **headers)


async def test_words_are_edited_by_fields_and_only_on_the_version_that_was_read(world: World) -> None:
    await world.two_responders()  # whom no level is passed for: that would be another version
    made = await world.admin.call("POST", "/incidents", {"title": "db", "description": "d", "metadata": {"a": 1}})
    incident, tag = made.data["incident"]["id"], made.headers["ETag"]
    edited = await _edit(world, incident, {"title": "db down"}, **{"If-Match": tag})
    assert edited.status == 200, edited.body
    seen = edited.data["incident"]
    assert (seen["title"], seen["description"], seen["metadata"]) == ("db down", "d", {"a": 1})
    late = await _edit(world, incident, {"title": "mine"}, **{"If-Match": tag})
    assert (late.status, late.headers["ETag"]) == (412, f'"{seen["version"]}"')
    gone = await _edit(world, incident, {"description": None, "metadata": {}})
    assert (gone.data["incident"]["description"], gone.data["incident"]["metadata"]) == (None, {})
    same = await _edit(world, incident, {"title": "db down"})
    assert same.data == gone.data, "what changes nothing is no event"
    for body, field in (({"title": ""}, "title"), ({"priority": "odd"}, "priority"), ({"status": "closed"}, "status")):
        refused = await _edit(world, incident, body)
        assert (refused.status, refused.body["error"]["details"]["field"]) == (400, field)
    assert (await _edit(world, str(uuid4()), {"title": "x"})).status == 404
    assert (await world.admin.call("GET", f"/incidents/{incident}")).data == gone.data
    told = [e["summary"] for e in await world.timeline(incident)]
    assert told.count("edited; now: db down") == 2
    await world.settle()
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}, "the log says the same"


async def test_worse_pages_again_with_the_new_words_and_better_pages_nobody(world: World) -> None:
    ana, _bo = await world.two_responders()
    await world.fire_alert("db slow", dedupKey="db", priority="low")
    await ana.expect_push("db slow")
    incident = (await world.incident())["id"]
    assert (await ana.acknowledge(incident)).status == 200
    await ana.expect_push("Acknowledged")
    raised = await _edit(world, incident, {"title": "db down", "priority": "critical"})
    assert (raised.data["incident"]["status"], raised.data["incident"]["run"]) == ("escalated", 2)
    push = await ana.expect_push("db down")
    assert "critical" in json.dumps(push["payload"]).lower()
    assert (await ana.acknowledge(incident)).status == 200
    await ana.expect_push("Acknowledged")

    lowered = await _edit(world, incident, {"priority": "medium"})
    assert (lowered.data["incident"]["priority"], lowered.data["incident"]["status"]) == ("medium", "acknowledged")
    await world.fire_alert("db down", dedupKey="db", priority="high")
    await ana.expect_no_push()
    assert (await world.incident())["priority"] == "medium", "a person knows better than what was said before"

    assert (await world.admin.call("POST", f"/incidents/{incident}/resolve", {})).status == 200
    over = await _edit(world, incident, {"priority": "critical"})
    assert (over.status, over.body["error"]["details"]["field"]) == (409, "priority")
    assert (await _edit(world, incident, {"title": "disk full"})).data["incident"]["status"] == "resolved"
