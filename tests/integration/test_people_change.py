"""People change: their names and roles, and whether they are active; whoever pages or names them follows at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.subjects import SERVICES
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Answer, Phone, notification_id
from tests.world import World

SCHEDULE = f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}"
POLICY = f"/escalation/policies/{DEFAULT_POLICY_ID}"


async def _changed(world: World, person: Phone, change: dict[str, Any]) -> dict[str, Any]:
    answer = await world.admin.call("PATCH", f"/users/{person.user_id}", change)
    assert answer.status == 200, answer.body
    return dict(answer.data["user"])


async def _stands(world: World, person: Phone, verb: str) -> dict[str, Any]:
    """They are deactivated, or reactivated."""
    answer = await world.admin.call("POST", f"/users/{person.user_id}/{verb}")
    assert answer.status == 200, answer.body
    return dict(answer.data["user"])


async def _seen(world: World, person: Phone) -> dict[str, Any]:
    return dict((await world.admin.call("GET", f"/users/{person.user_id}")).data["user"])


def _refused(answer: Answer, status: int, field: str | None = None) -> None:
    details = answer.body["error"].get("details") or {}
    assert (answer.status, details.get("field")) == (status, field), answer.body


async def test_whoever_is_deactivated_while_on_call_is_passed_over_and_comes_back(world: World) -> None:
    ana, bo = await world.person("ana", "ios"), await world.person("bo")
    await world.on_call("ana", "bo")
    await world.policy((5, "on-call"))
    await _stands(world, ana, "deactivate")
    await world.settle()
    await world.fire_alert("while ana is gone", priority="critical")
    await bo.expect_push("while ana is gone")
    await ana.expect_no_push()

    incident = await world.incident("while ana is gone")
    due = [e["summary"] for e in await world.timeline(incident["id"]) if e["type"] == "EscalationDue"]
    assert f"{ana.user_id} is deactivated, who is on call" in due[0]
    told = (await world.admin.call("GET", f"/incidents/{incident['id']}/explain?userId={ana.user_id}")).data["people"]
    assert [(p["outcome"], p["reason"]) for p in told] == [
        ("not_paged", "deactivated when level 1 was paged: passed over")
    ]
    current = (await world.admin.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")).data
    assert (current["currentOnCall"]["userId"], current["currentOnCall"]["inactive"]) == (str(ana.user_id), True)

    await bo.acknowledge(incident["id"])
    await _stands(world, ana, "reactivate")
    await world.settle()
    await world.fire_alert("ana is back", priority="critical", dedupKey="back")
    await ana.expect_push("ana is back")
    await bo.expect_push()  # the silent one that says who has acknowledged
    await bo.expect_no_push()
    current = (await world.admin.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")).data
    assert current["currentOnCall"]["inactive"] is False


async def test_a_page_that_is_not_sent_yet_is_withdrawn_and_the_next_level_is_paged_at_once(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.simulate("apns", "ServiceUnavailable", ana)
    await world.fire_alert("nobody has it yet", priority="critical")
    incident = await world.incident()

    async def tried() -> list[dict[str, Any]]:
        return [n for n in await world.notifications(incident["id"]) if n["attempts"]]

    await world.eventually(tried, bool, "an attempt that failed")
    await _stands(world, ana, "deactivate")
    await bo.expect_push("nobody has it yet")
    await world.settle()
    states = {n["userId"]: n["state"] for n in await world.notifications(incident["id"])}
    assert states == {str(ana.user_id): "withdrawn", str(bo.user_id): "accepted"}
    summaries = {e["type"]: e["summary"] for e in await world.timeline(incident["id"])}
    assert summaries["NotificationWithdrawn"] == "not pushed: deactivated"
    assert summaries["PersonUnreachable"] == "cannot be reached: deactivated"
    assert (await world.explained(incident["id"]))[str(ana.user_id)]["outcome"] == "unreachable"


async def test_whoever_has_the_page_and_is_deactivated_is_not_waited_for(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("ana has it", priority="critical")
    await ana.expect_push("ana has it")
    await world.settle()
    await _stands(world, ana, "deactivate")
    await bo.expect_push("ana has it")  # no clock was moved
    incident = await world.incident()
    due = [e["summary"] for e in await world.timeline(incident["id"]) if e["type"] == "EscalationDue"]
    assert f"{ana.user_id} is deactivated, and nobody else of level 1 is left" in due[-1]

    assert (await bo.acknowledge(incident["id"])).status == 200
    await _stands(world, bo, "deactivate")

    async def told() -> dict[str, Any]:
        return await world.incident()

    shown = await world.eventually(told, lambda i: i["assigneeInactive"], "that nobody sees to it")
    assert shown["assignedTo"] == str(bo.user_id)
    await _stands(world, bo, "reactivate")
    await world.eventually(told, lambda i: not i["assigneeInactive"], "that bo is back")


async def test_whoever_is_deactivated_by_mistake_is_paged_for_what_is_still_open_when_they_are_back(
    world: World,
) -> None:
    ana, bo = await world.person("ana", "ios"), await world.person("bo")
    await world.policy((30, "ana+bo"))
    await world.simulate("apns", "ServiceUnavailable", ana, times=1)
    await world.fire_alert("for both", priority="critical")
    await bo.expect_push("for both")
    refused = await ana.expect_push("for both")
    incident = await world.incident()

    async def tried() -> list[dict[str, Any]]:
        return [n for n in await world.notifications(incident["id"]) if n["state"] == "intended" and n["attempts"]]

    await world.eventually(tried, bool, "an attempt that failed")
    await _stands(world, ana, "deactivate")
    await world.advance(minutes=1)
    await ana.expect_no_push()
    assert [e.data.level for e in await world.log("escalation", "EscalationDue")] == [1], "bo is still asked"

    await _stands(world, ana, "reactivate")
    again = await ana.expect_push("for both")
    assert notification_id(again) != notification_id(refused)
    await world.settle()
    assert (await world.explained(incident["id"]))[str(ana.user_id)]["outcome"] == "paged"


async def test_what_names_somebody_who_is_deactivated_says_so_and_nothing_new_names_them(world: World) -> None:
    ana, bo = await world.two_responders()
    cy = await world.person("cy")
    await _stands(world, bo, "deactivate")
    await _stands(world, ana, "deactivate")
    await world.settle()
    assert (await world.admin.call("GET", SCHEDULE)).data["schedule"]["inactive"] == [str(ana.user_id)]
    assert (await world.admin.call("GET", POLICY)).data["policy"]["inactive"] == [str(bo.user_id)]
    listed = (await world.admin.call("GET", "/escalation/policies")).data["policies"]
    assert {p["name"]: p["inactive"] for p in listed}["Default"] == [str(bo.user_id)]
    start, end = world.clock.now(), world.clock.now() + timedelta(days=1)
    span = {"startTime": start.isoformat(), "endTime": end.isoformat()}
    query = f"from={span['startTime']}&to={span['endTime']}".replace("+00:00", "Z")
    shifts = (await world.admin.call("GET", f"{SCHEDULE}/shifts?{query}")).data
    assert (shifts["inactive"], shifts["shifts"][0]["userId"]) == ([str(ana.user_id)], str(ana.user_id))

    gone, layer = str(bo.user_id), {"start": "2026-03-02T09:00", "participants": [str(cy.user_id), str(bo.user_id)]}
    _refused(await world.admin.call("PATCH", SCHEDULE, {"layers": [layer]}), 400, "layers.0.participants.1")
    new = {"name": "New", "layers": [layer]}
    _refused(await world.admin.call("POST", "/on-call/schedules", new), 400, "layers.0.participants.1")
    _refused(await world.admin.call("POST", f"{SCHEDULE}/overrides", span | {"userId": gone}), 400, "userId")
    levels = [{"timeoutMinutes": 5, "targets": [{"type": "user", "id": gone}]}]
    policy = {"name": "New", "levels": levels}
    _refused(await world.admin.call("POST", "/escalation/policies", policy), 400, "levels.0.targets.0.id")
    wanted = {"title": "x", "assignedTo": gone}
    _refused(await world.admin.call("POST", "/incidents", wanted), 400, "assignedTo")
    # What names them already can be changed otherwise, and whoever is gone can be replaced.
    assert (await world.admin.call("PATCH", POLICY, {"repeat": 2})).status == 200
    kept = (await world.admin.call("GET", POLICY)).data["policy"]["levels"]
    assert (await world.admin.call("PATCH", POLICY, {"levels": kept, "repeat": 1})).status == 200
    instead = span | {"userId": str(cy.user_id), "replaces": str(ana.user_id)}
    assert (await world.admin.call("POST", f"{SCHEDULE}/overrides", instead)).status == 201

    await _stands(world, bo, "reactivate")
    assert (await world.admin.call("POST", "/incidents", wanted)).status == 201, "they are waited for"
    assert (await world.admin.call("GET", POLICY)).data["policy"]["inactive"] == []


async def test_names_and_roles_follow_and_say_who_gave_them(world: World) -> None:
    ana = await world.person("ana", "ios")
    await world.on_call("ana")
    made = await _seen(world, ana)
    assert (made["rolesGivenBy"], made["rolesGivenAt"]) == (str(world.admin.user_id), made["createdAt"])
    world.clock.advance(minutes=1)
    profile = {"firstName": "Anna", "phone": "+4930123456", "timezone": "Europe/Berlin"}
    me = await ana.call("PATCH", "/users/me", profile)
    assert me.status == 200, me.body
    now = world.clock.now().isoformat().replace("+00:00", "Z")
    assert me.data["user"] | profile == me.data["user"]
    assert (me.data["user"]["updatedAt"], me.headers["ETag"][:3]) == (now, '"2.')
    assert me.data["user"]["isActive"] is me.data["user"]["reachable"] is True
    await world.settle()
    current = (await world.admin.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")).data
    assert current["currentOnCall"]["userName"] == "Anna Tester"
    assert (await ana.call("PATCH", "/users/me", {"phone": None})).data["user"]["phone"] is None
    _refused(await ana.call("PATCH", "/users/me", {"roles": ["admin"]}), 400, "roles")
    _refused(await ana.call("PATCH", "/users/me", {"timezone": "Mars/Base"}), 400, "timezone")
    _refused(await ana.call("PATCH", f"/users/{ana.user_id}", {"roles": ["admin"]}), 403)
    for verb in ("deactivate", "reactivate"):
        _refused(await ana.call("POST", f"/users/{ana.user_id}/{verb}"), 403)
        _refused(await world.admin.call("POST", f"/users/{uuid4()}/{verb}"), 404, "id")
    _refused(await world.admin.call("PATCH", f"/users/{uuid4()}", {}), 404, "id")
    _refused(await world.admin.call("PATCH", f"/users/{ana.user_id}", {"teamIds": [str(uuid4())]}), 400, "teamIds.0")

    given = await _changed(world, ana, {"roles": ["lead", "user"]})
    assert (given["rolesGivenBy"], given["rolesGivenAt"]) == (str(world.admin.user_id), now)
    assert (given["roles"], given["version"], given["firstName"]) == (["lead", "user"], 4, "Anna")
    assert await _changed(world, ana, {"roles": ["user", "lead"]}) == given, "the same is no change"
    await world.settle()
    # A level that pages leads pages her from now on.
    levels = [{"timeoutMinutes": 5, "targets": [{"type": "role", "role": "lead"}]}]
    assert (await world.admin.call("PATCH", POLICY, {"levels": levels})).status == 200
    await world.settle()
    await world.fire_alert("for leads", priority="critical")
    await ana.expect_push("for leads")


@pytest.mark.services("auth")
async def test_of_two_who_change_one_person_by_one_tag_one_wins(world: World) -> None:
    ana = await world.person("ana")
    tag = (await world.admin.call("GET", f"/users/{ana.user_id}")).headers["ETag"]
    paths = (f"/users/{ana.user_id}", f"/users/{ana.user_id}/deactivate")
    first, second = await asyncio.gather(
        world.admin.call("PATCH", paths[0], {"firstName": "Anna"}, **{"If-Match": tag}),
        world.admin.call("POST", paths[1], **{"If-Match": tag}),
    )
    assert sorted((first.status, second.status)) == [200, 412]
    present = (await world.admin.call("GET", f"/users/{ana.user_id}")).headers["ETag"]
    assert present[:3] == (first if second.status == 412 else second).headers["ETag"][:3] == '"2.'
    if (await _seen(world, ana))["isActive"]:
        late = await ana.call("PATCH", "/users/me", {"lastName": "Late"}, **{"If-Match": tag})
        assert (late.status, late.headers["ETag"]) == (412, '"2"')


@pytest.mark.services("auth")
async def test_one_active_admin_is_always_left(world: World) -> None:
    alone = await world.admin.call("POST", f"/users/{world.admin.user_id}/deactivate")
    assert (alone.status, alone.body["error"]["code"]) == (409, "CONFLICT")
    _refused(await world.admin.call("PATCH", f"/users/{world.admin.user_id}", {"roles": ["user"]}), 409, "roles")

    for change in ("deactivate", "roles", "both"):
        eve = await world.person(f"eve-{change}", roles=("admin", "user"))

        def taken(who: Phone, whom: Phone, by: str) -> Any:
            path = f"/users/{whom.user_id}"
            token = who.session["accessToken"]
            if by == "deactivate":
                return world.http("POST", f"{path}/deactivate", None, token)
            return world.http("PATCH", path, {"roles": ["user"]}, token)

        ways = {"deactivate": ("deactivate",) * 2, "roles": ("roles",) * 2, "both": ("deactivate", "roles")}[change]
        answers = await asyncio.gather(taken(world.admin, eve, ways[0]), taken(eve, world.admin, ways[1]))
        assert sum(a.status == 200 for a in answers) == 1, [a.body for a in answers]
        # The other one was refused: as the last one, or as who is none any more.
        assert {a.status for a in answers} <= {200, 401, 403, 409}
        if answers[1].status == 200:  # eve has won: she makes the admin one again
            path, token = f"/users/{world.admin.user_id}", eve.session["accessToken"]
            await world.http("POST", f"{path}/reactivate", None, token)
            back = await world.http("PATCH", path, {"roles": ["admin", "user"]}, token)
            assert back.status == 200, back.body
            await world.admin.sign_in()
            assert (await world.admin.call("POST", f"/users/{eve.user_id}/deactivate")).status == 200
        await world.settle()


async def test_every_replica_comes_out_the_same_when_it_is_made_anew(world: World) -> None:
    ana, bo = await world.two_responders()
    await _changed(world, ana, {"firstName": "Anna", "roles": ["lead"]})
    await world.fire_alert("while they change", priority="critical")
    await ana.expect_push("while they change")
    await _stands(world, ana, "deactivate")
    await _stands(world, ana, "deactivate")
    await bo.expect_push("while they change")
    await _stands(world, bo, "deactivate")
    await _stands(world, bo, "reactivate")
    await world.settle()
    for service in SERVICES:
        assert differences(await rebuilt(world, service, swap=False)) == {}, service
