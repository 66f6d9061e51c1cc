"""Teams: who is in them, whom a level pages of them, what belongs to them, and who may change that."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from psycopg import AsyncConnection

from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.subjects import SERVICES
from services.auth import team_room
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import PASSWORD, Answer
from tests.world import World

pytestmark = pytest.mark.services("auth")


def _done(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, answer.body
    return answer.data


def _refused(answer: Answer, status: int, field: str | None = None) -> dict[str, Any]:
    details = answer.body["error"].get("details") or {}
    assert (answer.status, details.get("field")) == (status, field), answer.body
    error: dict[str, Any] = answer.body["error"]
    return error


async def _team(world: World, name: str = "Core", **people: str) -> str:
    """A team of these people, by their roles in it."""
    team = _done(await world.admin.call("POST", "/teams", {"name": name}), 201)["team"]["id"]
    for person, role in people.items():
        body = {"userId": str(world.phone(person).user_id), "role": role}
        _done(await world.admin.call("POST", f"/teams/{team}/members", body), 201)
    return str(team)


def _policy(*targets: dict[str, Any], name: str = "Ours", **more: Any) -> dict[str, Any]:
    return {"name": name, "repeat": 0, "levels": [{"timeoutMinutes": 5, "targets": [t]} for t in targets]} | more


async def _runs(world: World, *targets: dict[str, Any]) -> None:
    """What the Default policy pages from now on."""
    levels = {"levels": _policy(*targets)["levels"], "repeat": 0}
    _done(await world.admin.call("PATCH", f"/escalation/policies/{DEFAULT_POLICY_ID}", levels))
    await world.settle()


def _of(team: str, **more: str) -> dict[str, Any]:
    return {"type": "team", "id": team} | more


@pytest.mark.services(*SERVICES)
async def test_everybody_of_a_team_is_paged_and_whoever_leaves_it_is_not_waited_for(world: World) -> None:
    ana, bo, cy = await world.person("ana", "ios"), await world.person("bo"), await world.person("cy")
    team = await _team(world, ana="member", bo="manager")
    await _runs(world, _of(team), {"type": "user", "id": str(cy.user_id)})
    await world.fire_alert("for the team", priority="critical")
    await ana.expect_push("for the team")
    await bo.expect_push("for the team")
    await cy.expect_no_push()

    _done(await world.admin.call("DELETE", f"/teams/{team}/members/{ana.user_id}"))
    await world.settle()
    await cy.expect_no_push()  # bo is still asked
    _done(await world.admin.call("DELETE", f"/teams/{team}/members/{bo.user_id}"))
    await cy.expect_push("for the team")  # no clock was moved
    due = await world.log("escalation", "EscalationDue")
    assert f"{bo.user_id} is no member of team {team} any more" in due[-1].data.reason

    await cy.acknowledge((await world.incident())["id"])
    await world.settle()
    await cy.expect_push()  # the silent one that says who has acknowledged
    await world.fire_alert("nobody is in it", priority="critical", dedupKey="2")
    await cy.expect_push("nobody is in it")
    assert f"no active member of team {team}" in (await world.log("escalation", "EscalationDue"))[-1].data.reason
    for name in ("auth", "escalation", "oncall"):
        assert differences(await rebuilt(world, name, swap=False)) == {}, "the log says the same"


@pytest.mark.services(*SERVICES)
async def test_a_teams_managers_are_paged_and_its_policy_says_whose_it_is(world: World) -> None:
    ana, bo = await world.person("ana", "ios"), await world.person("bo")
    team = await _team(world, ana="member", bo="manager")
    body = _policy(_of(team, role="manager"), teamId=team)
    policy = _done(await world.admin.call("POST", "/escalation/policies", body), 201)["policy"]
    assert (policy["teamId"], policy["levels"][0]["targets"]) == (team, [_of(team, role="manager")])
    [made] = [e for e in await world.log("escalation", "PolicyCreated") if str(e.entity) == policy["id"]]
    assert str(made.team_id) == team, "its events are the team's"
    listed = _done(await bo.call("GET", f"/escalation/policies?teamId={team}"))
    assert [p["id"] for p in listed["policies"]] == [policy["id"]]
    await world.settle()
    body = {"title": "for its managers", "priority": "critical", "teamId": team}
    incident = _done(await ana.call("POST", "/incidents", body), 201)["incident"]
    await bo.expect_push("for its managers")
    await ana.expect_no_push()
    [started] = await world.log("escalation", "EscalationStarted")
    assert (str(started.data.policy_id), str(started.team_id)) == (policy["id"], team), "nobody has named it"
    assert (await bo.acknowledge(incident["id"])).status == 200
    shop = _done(await world.admin.call("POST", "/integrations", {"name": "Shop", "teamId": team}), 201)["integration"]
    await world.settle()
    await world.fire_alert("from its shop", priority="critical", routingKey=shop["key"])
    await bo.expect_push("Acknowledged")
    await bo.expect_push("from its shop")
    await ana.expect_no_push()


async def test_memberships_are_shown_and_tokens_from_before_a_change_are_refused(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    before = dict(ana.session)
    team = await _team(world, "Core", ana="manager")
    assert (await world.http("GET", "/users/me", token=before["accessToken"])).status == 401
    fresh = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, before["refreshToken"])
    ana.session = _done(fresh)["tokens"]
    me = _done(await world.http("GET", "/users/me", token=ana.session["accessToken"]))["user"]
    assert (me["teamIds"], me["teams"]) == ([team], [{"id": team, "name": "Core", "role": "manager"}])

    _done(await ana.call("POST", f"/teams/{team}/members", {"userId": str(bo.user_id)}), 201)
    members = _done(await bo.call("GET", f"/teams/{team}/members"))["members"]
    assert {m["userId"]: (m["role"], m["reachable"]) for m in members} == {
        str(ana.user_id): ("manager", True),
        str(bo.user_id): ("member", True),
    }
    changed = _done(await world.admin.call("PATCH", f"/users/{bo.user_id}", {"teamIds": []}))["user"]
    assert (changed["teamIds"], changed["version"]) == ([], 3)
    shown = _done(await world.admin.call("GET", f"/teams/{team}"))["team"]
    assert (shown["members"], shown["version"]) == (1, 1)
    person = {"email": "di@pager.test", "password": PASSWORD, "firstName": "Di", "lastName": "Ek"}
    made = _done(await world.admin.call("POST", "/users", person | {"roles": ["user"], "teamIds": [team]}), 201)
    assert made["user"]["teams"] == [{"id": team, "name": "Core", "role": "member"}]
    invite = _done(await world.admin.call("POST", "/invites", {"email": "ed@pager.test", "teamIds": [team]}), 201)
    join = {"password": PASSWORD, "firstName": "Ed", "lastName": "Ek"}
    token = invite["invite"]["link"]["url"].partition("#")[2]
    joined = _done(await world.http("POST", "/auth/register", join | {"inviteToken": token}), 201)["user"]
    assert joined["teams"] == [{"id": team, "name": "Core", "role": "member"}]


async def test_whoever_waits_for_a_person_is_told_their_teams_as_they_are_then(world: World) -> None:
    ana, team = await world.person("ana"), await _team(world, "Core")
    async with await AsyncConnection.connect(world.servers.database_url("superuser", world.database)) as session:

        async def waits(what: str) -> None:
            async def look() -> bool:
                found = await session.execute("SELECT FROM pg_stat_activity WHERE wait_event = %s", (what,))
                return await found.fetchone() is not None

            await world.eventually(look, bool, f"who waits for a {what}")

        await session.execute("SELECT FROM auth.users WHERE id = %s FOR UPDATE", (ana.user_id,))
        body = {"userId": str(ana.user_id)}
        joining = asyncio.create_task(world.admin.call("POST", f"/teams/{team}/members", body))
        await waits("transactionid")
        renamed = asyncio.create_task(world.admin.call("PATCH", f"/users/{ana.user_id}", {"firstName": "Anna"}))
        await waits("tuple")  # behind the other one
    _done(await joining, 201)
    user = _done(await renamed)["user"]
    assert (user["firstName"], user["teamIds"], user["version"]) == ("Anna", [team], 3)


async def test_managers_say_who_is_in_their_team_and_admins_which_teams_there_are(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo", roles=("user", "lead"))
    ours, theirs = await _team(world, "Core", ana="manager"), await _team(world, "Web")
    assert [t["name"] for t in _done(await bo.call("GET", "/teams"))["teams"]] == ["Core", "Web"]
    body = {"userId": str(bo.user_id), "role": "member"}
    _done(await ana.call("POST", f"/teams/{ours}/members", body), 201)
    _done(await ana.call("PATCH", f"/teams/{ours}/members/{bo.user_id}", {"role": "manager"}))
    for somebody, team in ((ana, theirs), (bo, theirs)):
        _refused(await somebody.call("POST", f"/teams/{team}/members", body), 403)
    _refused(await ana.call("DELETE", f"/teams/{ours}"), 403)
    _refused(await ana.call("PATCH", f"/teams/{ours}", {"name": "Mine"}), 403)
    _refused(await ana.call("POST", "/teams", {"name": "Mine"}), 403)
    _refused(await ana.call("PATCH", f"/users/{ana.user_id}", {"roles": ["admin"]}), 403)
    _refused(await world.admin.call("POST", "/teams", {"name": "  cORE "}), 409, "name")
    for alike in ("Co\u200bre", "\uff23ore", "\u202eCore\u202c"):
        _refused(await world.admin.call("POST", "/teams", {"name": alike}), 409, "name")
    _done(await world.admin.call("POST", "/teams", {"name": "Caf\u00e9"}), 201)
    _refused(await world.admin.call("POST", "/teams", {"name": "CAFE\u0301"}), 409, "name")
    _refused(await world.admin.call("PATCH", f"/teams/{theirs}", {"name": "core"}), 409, "name")
    _refused(await world.admin.call("DELETE", f"/teams/{theirs}/members/{ana.user_id}"), 404, "userId")
    tag = (await world.admin.call("GET", f"/teams/{theirs}")).headers["ETag"]
    named = await world.admin.call("PATCH", f"/teams/{theirs}", {"name": "Shop"}, **{"If-Match": tag})
    assert (_done(named)["team"]["name"], named.headers["ETag"] != tag) == ("Shop", True)
    stale = await world.admin.call("PATCH", f"/teams/{theirs}", {"name": "Web"}, **{"If-Match": tag})
    assert stale.status == 412


@pytest.mark.services(*SERVICES)
async def test_what_belongs_to_a_team_is_its_peoples_affair(world: World) -> None:
    ana, bo, lea = (
        await world.person("ana"),
        await world.person("bo"),
        await world.person("lea", roles=("user", "lead")),
    )
    team = await _team(world, "Core", ana="manager", bo="member")
    start = (world.clock.now() - timedelta(hours=1)).replace(tzinfo=None, second=0).isoformat(timespec="minutes")
    layer = {"rotationType": "weekly", "start": start, "participants": [str(bo.user_id)]}
    schedule = {"name": "Nights", "layers": [layer], "teamId": team}
    things = {
        "/on-call/schedules": schedule,
        "/escalation/policies": _policy({"type": "user", "id": str(bo.user_id)}, teamId=team),
    }
    for path, body in things.items():
        for somebody in (bo, lea):
            _refused(await somebody.call("POST", path, body), 403)
        _refused(await ana.call("POST", path, {k: v for k, v in body.items() if k != "teamId"}), 403)
        [made] = _done(await ana.call("POST", path, body), 201).values()
        one = f"{path}/{made['id']}"
        assert made["teamId"] == team
        _done(await bo.call("GET", one))
        _refused(await bo.call("PATCH", one, {"name": "Other"}), 403)
        _refused(await bo.call("DELETE", one), 403)
        for verb, change in (("GET", None), ("PATCH", {"name": "Other"}), ("DELETE", None)):
            assert (await lea.call(verb, one, change)).status == 404, (verb, one)
        for somebody, seen in ((ana, True), (bo, True), (lea, False), (world.admin, True)):
            listed = next(v for v in _done(await somebody.call("GET", path)).values() if isinstance(v, list))
            assert (made["id"] in {thing["id"] for thing in listed}) is seen, (somebody.email, path)
        assert _done(await ana.call("PATCH", one, {"name": "Other"}))
        _refused(await ana.call("PATCH", one, {"teamId": None}), 403)
        assert next(iter(_done(await world.admin.call("PATCH", one, {"teamId": None})).values()))["teamId"] is None
        _done(await lea.call("PATCH", one, {"name": "Everybody's"}))
        _refused(await ana.call("PATCH", one, {"name": "Mine"}), 403)
    on_call = {o["scheduleName"] for o in _done(await lea.call("GET", "/on-call"))["onCall"]}
    assert "Everybody's" in on_call
    assert (await lea.call("GET", f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}")).status == 200


@pytest.mark.services("auth", "oncall")
async def test_whoever_takes_turns_in_a_teams_schedule_sees_it(world: World) -> None:
    cy, dee, team = await world.person("cy"), await world.person("dee"), await _team(world)
    start = (world.clock.now() - timedelta(hours=1)).replace(tzinfo=None, second=0).isoformat(timespec="minutes")
    layer = {"rotationType": "weekly", "start": start, "participants": [str(cy.user_id)]}
    body = {"name": "Nights", "layers": [layer], "teamId": team}
    made = _done(await world.admin.call("POST", "/on-call/schedules", body), 201)["schedule"]["id"]
    for somebody, status, names in ((cy, 200, ["Nights"]), (dee, 404, [])):
        assert (await somebody.call("GET", f"/on-call/schedules/{made}")).status == status
        assert (await somebody.call("GET", f"/on-call/current?scheduleId={made}")).status == status
        listed = _done(await somebody.call("GET", "/on-call/schedules"))["schedules"]
        on_call = _done(await somebody.call("GET", "/on-call"))["onCall"]
        assert [s["name"] for s in listed if s["teamId"]] == names
        assert [o["scheduleName"] for o in on_call if o["scheduleId"] == made] == names
    tomorrow = world.clock.now() + timedelta(days=1)
    hours = {"startTime": tomorrow.isoformat(), "endTime": (tomorrow + timedelta(hours=1)).isoformat()}
    cover = f"/on-call/schedules/{made}/overrides"
    _done(await cy.call("POST", cover, hours | {"userId": str(cy.user_id)}), 201)
    assert (await dee.call("POST", cover, hours | {"userId": str(dee.user_id)})).status == 404


@pytest.mark.services(*SERVICES)
async def test_a_team_that_something_needs_stays_until_nothing_does(world: World) -> None:
    ana = await world.person("ana")
    team = await _team(world, "Core", ana="member")
    policy = _done(await world.admin.call("POST", "/escalation/policies", _policy(_of(team))), 201)["policy"]["id"]
    schedule = {"name": "Nights", "teamId": team}
    schedule_id = _done(await world.admin.call("POST", "/on-call/schedules", schedule), 201)["schedule"]["id"]
    shop = {"name": "Shop", "teamId": team}
    integration = _done(await world.admin.call("POST", "/integrations", shop), 201)["integration"]["id"]
    burning = {"title": "it burns", "teamId": team}
    incident = _done(await world.admin.call("POST", "/incidents", burning), 201)["incident"]["id"]
    error = _refused(await world.admin.call("DELETE", f"/teams/{team}"), 409)
    uses = [("schedule", "Nights"), ("integration", "Shop"), ("incident", "#1"), ("policy", "Ours")]
    assert ([(u["type"], u["name"]) for u in error["details"]["usedBy"]], error["details"]["total"]) == (uses, 4)
    _done(await world.admin.call("POST", f"/incidents/{incident}/resolve", {}))
    _done(await world.admin.call("PATCH", f"/integrations/{integration}", {"teamId": None}))
    _done(await world.admin.call("DELETE", f"/escalation/policies/{policy}"))
    _done(await world.admin.call("DELETE", f"/on-call/schedules/{schedule_id}"))
    await world.stop("oncall")
    _refused(await world.admin.call("DELETE", f"/teams/{team}"), 503)
    await world.start("oncall")
    _done(await world.admin.call("DELETE", f"/teams/{team}"))
    _refused(await world.admin.call("GET", f"/teams/{team}"), 404, "id")
    assert _done(await world.admin.call("GET", f"/users/{ana.user_id}"))["user"]["teams"] == []
    _done(await world.admin.call("POST", "/teams", {"name": "Core"}), 201)
    await world.settle()
    refused = await world.admin.call("POST", "/escalation/policies", _policy(_of(team)))
    _refused(refused, 400, "levels.0.targets.0.id")


async def test_at_once_one_gets_a_name_and_one_the_last_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = await asyncio.gather(
        *(world.admin.call("POST", "/teams", {"name": name}) for name in ("Ops", "OPS", " ops"))
    )
    assert sorted(answer.status for answer in names) == [201, 409, 409]
    monkeypatch.setattr(team_room, "MOST_MEMBERS", 1)
    ana, bo = await world.person("ana"), await world.person("bo")
    team = await _team(world, "Core")
    path = f"/teams/{team}/members"
    places = await asyncio.gather(
        *(world.admin.call("POST", path, {"userId": str(person.user_id)}) for person in (ana, bo)),
        world.admin.call("PATCH", f"/users/{ana.user_id}", {"teamIds": [team]}),
    )
    assert {answer.status for answer in places[:2]} == {201, 409}
    assert len(_done(await world.admin.call("GET", path))["members"]) == 1
    inside, outside = (ana, bo) if places[0].status == 201 or places[2].status == 200 else (bo, ana)
    _refused(await world.admin.call("PATCH", f"/users/{outside.user_id}", {"teamIds": [team]}), 409, "teamIds.0")
    person = {"email": "di@pager.test", "password": PASSWORD, "firstName": "Di", "lastName": "Ek", "roles": ["user"]}
    _refused(await world.admin.call("POST", "/users", person | {"teamIds": [team]}), 409, "teamIds.0")
    _done(await world.admin.call("POST", path, {"userId": str(inside.user_id), "role": "manager"}), 201)


@pytest.mark.services(*SERVICES)
async def test_an_invite_outlives_its_team_and_whoever_comes_into_one_that_goes_is_in_none(world: World) -> None:
    ana, team, other = await world.person("ana"), await _team(world, "Core"), await _team(world, "Web")
    body = {"email": "ed@pager.test", "teamIds": [team, other]}
    link = _done(await world.admin.call("POST", "/invites", body), 201)["invite"]["link"]["url"]
    came, gone = await asyncio.gather(
        world.admin.call("POST", f"/teams/{team}/members", {"userId": str(ana.user_id)}),
        world.admin.call("DELETE", f"/teams/{team}"),
    )
    assert (came.status in (201, 404), gone.status) == (True, 200), came.body
    assert _done(await world.admin.call("GET", f"/users/{ana.user_id}"))["user"]["teamIds"] == []
    join = {"password": PASSWORD, "firstName": "Ed", "lastName": "Ek", "inviteToken": link.partition("#")[2]}
    joined = _done(await world.http("POST", "/auth/register", join), 201)["user"]
    assert joined["teamIds"] == [other]
    await world.settle()
    assert differences(await rebuilt(world, "auth", swap=False)) == {}, "the log says the same"
