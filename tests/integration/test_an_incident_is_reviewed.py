"""What is over is reviewed: drafted from its timeline, changed by those whose it is, and published."""

from __future__ import annotations

from typing import Any

from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.integration.test_teams_see_their_own import team
from tests.phone import Phone
from tests.world import World


async def _over(world: World, who: Phone, **fields: Any) -> str:
    made = await world.admin.call("POST", "/incidents", {"title": "db down", **fields})
    incident = str(made.data["incident"]["id"])
    await who.expect_push("db down")
    await world.settle()
    world.clock.advance(minutes=3)
    assert (await who.acknowledge(incident, "on it")).status == 200
    world.clock.advance(minutes=10)
    assert (await world.admin.call("POST", f"/incidents/{incident}/resolve", {})).status == 200
    await world.settle()
    return incident


async def test_it_is_drafted_from_the_timeline_changed_and_published(world: World) -> None:
    ana = await world.person("ana")
    await world.policy((15, "ana"))
    incident = await _over(world, ana)
    path = f"/incidents/{incident}/review"
    assert (await ana.call("GET", path)).status == 404
    made = await ana.call("POST", path)
    review = made.data["review"]
    assert (made.status, review["version"], review["published"]) == (201, 1, False)
    for words in ("db down", f"Paged: {ana.user_id}.", f"First answered after 3 min by {ana.user_id}.", "after 13 min"):
        assert words in review["text"]
    item = {"text": "Alert on the disk earlier", "ownerId": str(ana.user_id), "dueAt": "2030-01-01T00:00:00Z"}
    match = {"If-Match": made.headers["ETag"]}
    changed = await ana.call("PATCH", path, {"text": "# Why", "actionItems": [item]}, **match)
    assert (changed.status, changed.data["review"]["version"]) == (200, 2), changed.body
    stale = await ana.call("PATCH", path, {"text": "mine"}, **match)
    assert (stale.status, stale.body["error"]["code"]) == (412, "PRECONDITION_FAILED")
    (kept,) = changed.data["review"]["actionItems"]
    done = await ana.call("PATCH", path, {"actionItems": [kept | {"done": True}], "published": True})
    assert done.data["review"]["published"] is True
    assert [(one["id"], one["done"]) for one in done.data["review"]["actionItems"]] == [(kept["id"], True)]
    again = await ana.call("POST", path)
    assert (again.status, again.data["review"]["text"]) == (201, "# Why"), "nobody's words are drafted over"
    await world.settle()
    assert (await ana.call("GET", path)).data["review"] == again.data["review"]
    told = [entry["summary"] for entry in await world.timeline(incident)]
    assert [one for one in told if "review" in one] == [
        "a review was begun",
        "the review was changed; 0 of 1 action items are done",
        "the review was changed; 1 of 1 action items are done",
        "the review was published",
    ]
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}


async def test_a_draft_is_deleted_and_what_is_published_is_not(world: World) -> None:
    ana = await world.person("ana")
    await world.policy((15, "ana"))
    incident = await _over(world, ana)
    path = f"/incidents/{incident}/review"
    assert (await ana.call("DELETE", path)).status == 404
    first = await ana.call("POST", path)
    published = await ana.call("PATCH", path, {"text": "# Why", "published": True})
    refused = await ana.call("DELETE", path)
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    assert "draft again" in refused.body["error"]["message"]
    draft = await ana.call("PATCH", path, {"published": False})
    stale = await ana.call("DELETE", path, **{"If-Match": published.headers["ETag"]})
    assert stale.status == 412
    assert (await ana.call("DELETE", path, **{"If-Match": draft.headers["ETag"]})).status == 200
    assert [(await ana.call(method, path)).status for method in ("GET", "DELETE")] == [404, 404]
    anew = await ana.call("POST", path)
    assert (anew.status, anew.data["review"]["published"]) == (201, False)
    assert anew.data["review"]["text"] == first.data["review"]["text"], "drafted from the same timeline"
    await world.settle()
    told = [(entry["summary"], entry["actor"]) for entry in await world.timeline(incident)]
    assert ("the draft of the review was deleted", {"kind": "user", "id": str(ana.user_id)}) in told
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}


async def test_it_is_its_incidents_team_that_writes_and_whoever_sees_it_that_reads(world: World) -> None:
    for name in ("ana", "bo", "cy"):
        await world.person(name)
    shop = await team(world, "Shop", ana="member")
    await world.policy((15, "bo"))
    ana, bo, cy = (world.phone(name) for name in ("ana", "bo", "cy"))
    incident = await _over(world, bo, teamId=shop)
    path = f"/incidents/{incident}/review"
    assert (await bo.call("POST", path)).status == 403, "it paged him, and is not his team's"
    assert (await ana.call("POST", path)).status == 201
    statuses = [(await who.call("GET", path)).status for who in (ana, bo, cy, world.admin)]
    assert statuses == [200, 200, 404, 200]
    statuses = [(await who.call("PATCH", path, {"text": "x"})).status for who in (ana, bo, cy)]
    assert statuses == [200, 403, 404]


async def test_what_is_not_over_has_none(world: World) -> None:
    made = await world.admin.call("POST", "/incidents", {"title": "db down"})
    refused = await world.admin.call("POST", f"/incidents/{made.data['incident']['id']}/review")
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    assert "resolve it first" in refused.body["error"]["message"]


async def test_what_does_not_fit_is_refused_and_changes_nothing(world: World) -> None:
    ana = await world.person("ana")
    await world.policy((15, "ana"))
    path = f"/incidents/{await _over(world, ana)}/review"
    await ana.call("POST", path)
    item = {"text": "x"}
    for body, field in (
        ({"text": ""}, "text"),
        ({"text": "\x01" * 60_000}, "text"),
        ({"text": "x" * 300_000}, "text"),
        ({"actionItems": [item] * 101}, "actionItems"),
        ({"actionItems": [{"text": "two\nlines"}]}, "actionItems.0.text"),
        ({"actionItems": [{"text": "x" * 501}]}, "actionItems.0.text"),
        ({"actionItems": [item | {"dueAt": "tomorrow"}]}, "actionItems.0.dueAt"),
        ({"actionItems": [item | {"mood": "good"}]}, "actionItems.0.mood"),
        ({"published": "yes"}, "published"),
    ):
        refused = await ana.call("PATCH", path, body)
        assert (refused.status, refused.body["error"]["details"]["field"]) == (400, field), refused.body
    assert (await ana.call("GET", path)).data["review"]["version"] == 1


async def test_whoever_was_erased_is_named_in_it_no_more(world: World) -> None:
    ana = await world.person("ana")
    await world.policy((15, "ana"))
    path = f"/incidents/{await _over(world, ana)}/review"
    item = {"text": "Alert on the disk earlier", "ownerId": str(ana.user_id)}
    assert (await world.admin.call("POST", path)).status == 201
    assert (await world.admin.call("PATCH", path, {"actionItems": [item]})).status == 200
    await world.policy((15, "on-call"))
    person = f"/users/{ana.user_id}"
    assert (await world.admin.call("POST", f"{person}/deactivate")).status == 200
    erased = await world.admin.call("DELETE", person, {"confirmEmail": ana.email})
    assert erased.status == 200, erased.body
    await world.settle()
    review = (await world.admin.call("GET", path)).data["review"]
    assert str(ana.user_id) not in review["text"]
    assert "an erased person" in review["text"]
    assert review["erased"] == [str(ana.user_id)]
