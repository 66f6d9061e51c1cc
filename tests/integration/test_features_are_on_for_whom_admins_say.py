"""Promise: a feature flag holds at once, while auth is away and after a rebuild, and stands in the audit."""

from __future__ import annotations

from libs.chassis.testing.deadline import in_time
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.world import World

BULK = "/admin/features/bulk"
SUMMARY = "/analytics/summary"


async def test_a_feature_is_on_for_whom_admins_say(world: World) -> None:
    first, second = await world.two_responders()
    flag = "/admin/features/analytics"
    off = await world.admin.call("PUT", flag, {"enabled": False})
    assert (off.status, off.data["feature"]["enabled"]) == (200, False), off.body
    assert (await world.admin.call("GET", SUMMARY)).status == 403
    named = await world.admin.call("PUT", flag, {"enabled": True, "userIds": [str(first.user_id)]})
    assert named.status == 200, named.body
    assert (await first.call("GET", SUMMARY)).status == 200
    assert (await second.call("GET", SUMMARY)).status == 403
    rolled = await world.admin.call("POST", f"{flag}/rollout", {"percentage": 0})
    assert rolled.data["feature"]["userIds"] == [str(first.user_id)]
    assert rolled.data["feature"]["changedBy"]["kind"] == "user"

    await world.stop("auth")
    assert (await second.call("GET", SUMMARY)).status == 403, "what was said holds while auth is away"
    await world.start("auth")
    async with in_time():
        while (shown := await world.admin.call("GET", "/admin/features")).status != 200:
            pass
    (analytics,) = [one for one in shown.data["features"] if one["flag"] == "analytics"]
    assert analytics == rolled.data["feature"]
    again = await world.admin.call("POST", f"{flag}/rollout", {"percentage": 0})
    assert again.data == rolled.data, "the same is no change"
    assert (await world.admin.call("POST", f"{flag}/enable")).status == 200
    assert (await second.call("GET", SUMMARY)).status == 200

    assert len(await world.log("auth", "FeatureChanged")) == 4
    told = (await world.admin.call("GET", "/audit?resource=features/analytics")).data["entries"]
    # All in one moment of this world's clock, so in no order.
    assert [entry["new"].get("enabled") for entry in told].count(None) == 2
    assert {"percentage": 0, "userIds": [str(first.user_id)]} in [entry["old"] for entry in told]
    assert differences(await rebuilt(world, "auth")) == {}


async def test_what_is_no_flag_is_told_which_there_are_and_only_admins_change_one(world: World) -> None:
    unknown = await world.admin.call("POST", "/admin/features/dark_mode/enable")
    assert (unknown.status, unknown.body["error"]["code"]) == (404, "NOT_FOUND")
    assert "analytics, bulk, reviews, stream" in unknown.body["error"]["message"]
    person = await world.person("jo")
    for method, path, body in (
        ("GET", "/admin/features", None),
        ("PUT", BULK, {"enabled": False}),
        ("POST", f"{BULK}/enable", None),
        ("POST", f"{BULK}/rollout", {"percentage": 1}),
    ):
        assert (await person.call(method, path, body)).status == 403
    assert await world.log("auth", "FeatureChanged") == []
