"""What belongs to a team is seen by its people and by whom it has paged; to everybody else it is not there."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from libs.contracts.defaults import DEFAULT_INTEGRATION_ID
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Phone
from tests.world import World

VERBS = ("acknowledge", "resolve", "close")


async def team(world: World, name: str, **members: str) -> str:
    """A team with these people, each in the role that is given."""
    made = await world.admin.call("POST", "/teams", {"name": name})
    assert made.status == 201, made.body
    team_id = str(made.data["team"]["id"])
    for who, role in members.items():
        body = {"userId": str(world.phone(who).user_id), "role": role}
        put = await world.admin.call("POST", f"/teams/{team_id}/members", body)
        assert put.status in (200, 201), put.body
    await world.settle()
    return team_id


async def integration(who: Phone, **fields: Any) -> dict[str, Any]:
    made = await who.call("POST", "/integrations", {"name": "Shop", **fields})
    assert made.status == 201, made.body
    return dict(made.data["integration"])


async def seen(who: Phone, incident: str) -> list[int]:
    """What somebody gets of an incident: itself, timeline, explanation, notifications; and how often it is listed."""
    paths = tuple(f"/incidents/{incident}{part}" for part in ("", "/timeline", "/explain", "/alerts"))
    answers = [(await who.call("GET", path)).status for path in (*paths, f"/notifications?incidentId={incident}")]
    listed = await who.call("GET", "/incidents?limit=100")
    return [*answers, [one["id"] for one in listed.data["incidents"]].count(incident)]


SEEN, NOT_SEEN = [200] * 5 + [1], [404] * 5 + [0]


async def test_an_alert_of_a_team_is_seen_by_the_team_by_whom_it_paged_and_by_admins(world: World) -> None:
    for name in ("ana", "max", "bo", "cy"):
        await world.person(name)
    lia = await world.person("lia", roles=("user", "lead"))
    shop = await team(world, "Shop", ana="member", max="manager")
    ana, maxi, bo, cy = (world.phone(name) for name in ("ana", "max", "bo", "cy"))
    await world.policy((15, "bo"))
    key = (await integration(maxi, teamId=shop))["key"]
    await world.fire_alert(routingKey=key)
    await bo.expect_push("db down")
    # The push may come before incidents has read whom it pages.
    incident = (await bo.call("GET", "/incidents?assigned_to=me")).data["incidents"] or [await world.incident()]
    one = str(incident[0]["id"])
    assert (await bo.call("GET", f"/incidents/{one}")).data["incident"]["teamId"] == shop
    await world.settle()
    assert {event.team_id and str(event.team_id) for event in await world.log("incidents", "IncidentCreated")} == {shop}
    for who in (ana, maxi, bo, world.admin):
        assert await seen(who, one) == SEEN, who.email
    for who in (cy, lia):
        assert await seen(who, one) == NOT_SEEN, who.email
        for verb in VERBS:
            assert (await who.call("POST", f"/incidents/{one}/{verb}")).status == 404
        assert (await who.call("PATCH", f"/incidents/{one}", {"title": "x"})).status == 404
    assert (await bo.call("PATCH", f"/incidents/{one}", {"title": "x"})).status == 403, "it is its team's to edit"
    for verb in VERBS:
        answer = await bo.call("POST", f"/incidents/{one}/{verb}")
        assert answer.status == 200, answer.body
    assert (await ana.call("PATCH", f"/incidents/{one}", {"title": "x"})).status == 200
    await world.settle()
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}
    assert differences(await rebuilt(world, "notifier", swap=False)) == {}


async def test_whoever_has_left_a_team_keeps_what_paged_them_and_what_they_have_taken(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    shop = await team(world, "Shop", ana="member", bo="member")
    await world.policy((15, "ana"))
    opened = [
        str((await bo.call("POST", "/incidents", {"title": title, "teamId": shop})).data["incident"]["id"])
        for title in ("taken", "left")
    ]
    await world.settle()
    assert (await bo.call("POST", f"/incidents/{opened[0]}/acknowledge")).status == 200
    for who in (ana, bo):
        gone = await world.admin.call("DELETE", f"/teams/{shop}/members/{who.user_id}")
        assert gone.status == 200, gone.body
    await world.settle()
    assert [await seen(ana, one) for one in opened] == [SEEN, SEEN], "both have paged her"
    assert [await seen(bo, one) for one in opened] == [SEEN, NOT_SEEN]
    assert (await bo.call("POST", f"/incidents/{opened[0]}/resolve")).status == 200
    assert (await ana.call("POST", f"/incidents/{opened[1]}/acknowledge")).status == 200
    assert (await bo.call("POST", "/incidents", {"title": "x", "teamId": shop})).status == 403


async def test_a_page_is_answered_though_incidents_has_not_heard_whom_it_went_to(world: World) -> None:
    """In a storm it reads late what escalation says: whoever may have been paged is told to try again, and not 404."""
    ana, bo = await world.person("ana"), await world.person("bo")
    shop = await team(world, "Shop", ana="member")
    await world.policy((15, "bo"))
    await world.stop("escalation")
    opened = await ana.call("POST", "/incidents", {"title": "it burns", "teamId": shop})
    path = f"/incidents/{opened.data['incident']['id']}"
    refused = await bo.call("POST", f"{path}/acknowledge")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1"), refused.body
    assert (await ana.call("GET", path)).status == 200, "whoever is in the team waits for nobody"
    await world.start("escalation")
    await bo.expect_push("it burns")
    answer = await bo.acknowledge(str(opened.data["incident"]["id"]))
    assert answer.status == 200, answer.body


async def test_one_dedup_key_of_two_teams_is_two_incidents(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    shop, bank = await team(world, "Shop", ana="member"), await team(world, "Bank", bo="member")
    await world.policy((15, "bo"))
    made = [
        (await who.call("POST", "/incidents", {"title": "db", "dedupKey": "db", "teamId": of})).data["incident"]
        for who, of in ((ana, shop), (bo, bank), (ana, shop), (world.admin, None))
    ]
    assert made[0]["id"] == made[2]["id"]
    assert len({one["id"] for one in made}) == 3
    assert {one["dedupKey"] for one in made} == {"db"}
    assert [one["teamId"] for one in made] == [shop, bank, shop, None]
    for team_id, number in ((shop, 1), (bank, 0)):
        assert len((await ana.call("GET", f"/incidents?teamId={team_id}")).data["incidents"]) == number
    assert len(await world.incidents(teamId=bank)) == 1
    listed = (await ana.call("GET", "/incidents")).data
    assert listed["pagination"]["total"] == len(listed["incidents"]) == 2


async def test_integrations_are_their_teams_and_move_by_whoever_has_rights_on_both(
    world: World, subtests: pytest.Subtests
) -> None:
    for name in ("ana", "max", "bo"):
        await world.person(name)
    ana, maxi, bo = (world.phone(name) for name in ("ana", "max", "bo"))
    lia = await world.person("lia", roles=("user", "lead"))
    shop = await team(world, "Shop", ana="member", max="manager")
    bank = await team(world, "Bank", max="manager")
    made = await integration(maxi, teamId=shop)
    path, key = f"/integrations/{made['id']}", made["keys"][0]["id"]
    requests = (
        ("GET", path, None),
        ("PATCH", path, {"name": "Shop"}),
        ("POST", f"{path}/keys", None),
        ("DELETE", f"{path}/keys/{key}", None),
        ("DELETE", path, None),
    )
    # Whoever may change none at all is told so, whatever they name.
    for who, expected in ((bo, [404, *[403] * 4]), (lia, [404] * 5), (ana, [200, *[403] * 4])):
        with subtests.test(who=who.email):
            assert [(await who.call(*request)).status for request in requests] == expected
            listed = (await who.call("GET", "/integrations")).data["integrations"]
            assert (made["id"] in [one["id"] for one in listed]) is (expected[0] == 200)
            assert str(DEFAULT_INTEGRATION_ID) in [one["id"] for one in listed], "the organisation's is everybody's"
            refused = await who.call("POST", "/integrations", {"name": "x", "teamId": shop})
            assert refused.status == 403
    moves = (
        (maxi, bank, 200),
        (maxi, None, 403),
        (lia, None, 404),
        (lia, shop, 403),
        (maxi, str(uuid4()), 403),
        (world.admin, None, 200),
    )
    for who, to, status in moves:
        moved = await who.call("PATCH", path, {"teamId": to})
        assert moved.status == status, (who.email, to, moved.body)
    assert (await lia.call("PATCH", path, {"name": "Everybody's"})).status == 200, "now it is a lead's matter"
    assert (await lia.call("PATCH", path, {"teamId": shop})).status == 403
    fixed = await world.admin.call("PATCH", f"/integrations/{DEFAULT_INTEGRATION_ID}", {"teamId": shop})
    assert (fixed.status, fixed.body["error"]["details"]["field"]) == (409, "teamId")
    deleted = [(await world.admin.call(*request)).status for request in requests]
    assert deleted == [200, 200, 201, 200, 200]


async def test_a_team_whose_incidents_are_open_stays(world: World) -> None:
    ana = await world.person("ana")
    shop = await team(world, "Shop", ana="manager")
    sender = await integration(ana, teamId=shop)
    opened = await ana.call("POST", "/incidents", {"title": "it burns", "teamId": shop})
    incident = opened.data["incident"]
    reply = await world.rpc("incidents", "team_uses", {"id": shop})
    assert reply.data == {
        "uses": [
            {"type": "integration", "id": sender["id"], "name": "Shop"},
            {"type": "incident", "id": incident["id"], "name": f"#{incident['number']}"},
        ],
        "total": 2,
    }
    assert (await ana.call("POST", f"/incidents/{incident['id']}/resolve")).status == 200
    assert (await ana.call("DELETE", f"/integrations/{sender['id']}")).status == 200
    assert (await world.rpc("incidents", "team_uses", {"id": shop})).data == {"uses": [], "total": 0}


async def test_a_teams_api_key_sees_its_team_and_not_what_has_paged_its_maker(world: World) -> None:
    """Machines act for a team: what is the organisation's, or rang on their maker's phone, is not theirs."""
    maxi = await world.person("max")
    shop, bank = await team(world, "Shop", max="manager"), await team(world, "Bank")
    await world.policy((15, "max"))
    opened = {
        name: str((await world.admin.call("POST", "/incidents", {"title": name, "teamId": of})).data["incident"]["id"])
        for name, of in (("shop", shop), ("bank", bank), ("everybody's", None))
    }
    senders = {name: await integration(world.admin, teamId=of) for name, of in (("shop", shop), ("bank", bank))}
    await world.settle()
    scopes = ["incidents.list", "incidents.read", "incidents.create", "notifications.read", "integrations.read"]
    made = await maxi.call("POST", "/api-keys", {"name": "Deploys", "scopes": scopes, "teamId": shop})
    assert made.status == 201, made.body
    key = made.data["apiKey"]["key"]

    async def asks(method: str, path: str, body: Any = None) -> Any:
        return await world.http(method, path, body, key)

    assert [await seen(maxi, one) for one in opened.values()] == [SEEN] * 3
    for path in ("/incidents", "/incidents?assigned_to=me", f"/incidents?assignedTo={maxi.user_id}"):
        listed = (await asks("GET", path)).data
        assert [one["id"] for one in listed["incidents"]] == [opened["shop"]], path
        assert listed["pagination"]["total"] == 1
    for name, one in opened.items():
        paths = tuple(f"/incidents/{one}{part}" for part in ("", "/timeline", "/explain", "/alerts"))
        answers = [await asks("GET", path) for path in (*paths, f"/notifications?incidentId={one}")]
        assert [one.status for one in answers] == [200 if name == "shop" else 404] * 5, name
    assert [one["id"] for one in (await asks("GET", "/integrations")).data["integrations"]] == [senders["shop"]["id"]]
    assert (await asks("GET", f"/integrations/{senders['bank']['id']}")).status == 404
    for of, status in ((shop, 201), (bank, 403), (None, 403)):
        assert (await asks("POST", "/incidents", {"title": "by a machine", "teamId": of})).status == status


async def test_strangers_learn_from_health_no_name_of_what_a_team_has(world: World) -> None:
    """Everybody may ask for health; operators are told which policy it is, by the service itself."""
    bo = await world.person("bo")
    shop = await team(world, "Shop", bo="manager")
    assert (await world.admin.call("DELETE", f"/users/{bo.user_id}/devices/{bo.device_id}")).status == 200
    await world.settle()
    level = {"timeoutMinutes": 5, "targets": [{"type": "user", "id": str(bo.user_id)}]}
    body = {"name": "Merger with Acme", "teamId": shop, "levels": [level]}
    assert (await world.admin.call("POST", "/escalation/policies", body)).status == 201

    async def told() -> str:
        return str((await world.health("escalation"))["troubles"])

    await world.eventually(told, lambda text: "team policy Merger with Acme" in text, "that it reaches nobody")
