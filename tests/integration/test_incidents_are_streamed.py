"""What becomes of incidents is told as it happens, to whoever may see it, and nothing of it twice or not at all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from libs.contracts.streaming import Close
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import rebuilt
from tests.integration.test_teams_see_their_own import team
from tests.listening import Listening, listening, opened
from tests.phone import Phone
from tests.restorable import Restorable
from tests.world import World


async def _opened_incident(who: Phone, **fields: str) -> str:
    made = await who.call("POST", "/incidents", {"title": "it burns", **fields})
    assert made.status == 201, made.body
    return str(made.data["incident"]["id"])


def _of(stream: Listening, incident: str) -> list[str]:
    return [kind for kind, one in stream.told if one == incident]


async def test_an_incident_is_told_as_the_api_shows_it(world: World) -> None:
    await world.two_responders()
    async with listening(world.gateway.url, world.admin.session["accessToken"]) as stream:
        await world.fire_alert()
        created = await stream.of("IncidentCreated")
        one = created["incident"]["id"]
        assert created["incident"]["title"] == "db down"
        due = await stream.of("EscalationDue", one)
        assert due["incident"]["escalation"]["level"] == 1
        ana = world.phone("ana")
        assert due["incident"]["assignedTo"] == str(ana.user_id)
        assert (await ana.acknowledge(one, "on it")).status == 200
        taken = await stream.of("IncidentAcknowledged", one)
        listed = (await world.incidents())[0]
        assert {**taken["incident"], "version": 0} == {**listed, "version": 0}
        assert (await ana.call("POST", f"/incidents/{one}/resolve")).status == 200
        over = await stream.of("IncidentResolved", one)
        assert over["incident"]["status"] == "resolved"
        versions = [f["incident"]["version"] for f in stream.seen if "incident" in f]
        assert versions == sorted(versions)


async def test_a_team_s_incident_is_told_its_people_whom_it_has_paged_and_admins(world: World) -> None:
    for name in ("ana", "bo", "cy"):
        await world.person(name)
    shop = await team(world, "Shop", ana="member")
    await world.policy((15, "bo"))
    ana, bo, cy = (world.phone(name) for name in ("ana", "bo", "cy"))
    await ana.sign_in()
    people = (ana, bo, cy, world.admin)
    async with AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(listening(world.gateway.url, who.session["accessToken"])) for who in people
        ]
        secret = await _opened_incident(ana, teamId=shop)
        await bo.expect_push("it burns")
        everybodys = await _opened_incident(ana)
        assert (await ana.call("POST", f"/incidents/{secret}/acknowledge")).status == 200
        assert (await ana.call("POST", f"/incidents/{everybodys}/resolve")).status == 200
        for stream in streams:
            await stream.of("IncidentResolved", everybodys)
        await world.settle()
        for stream in (streams[0], streams[1], streams[3]):
            if "IncidentAcknowledged" not in _of(stream, secret):
                await stream.of("IncidentAcknowledged", secret)
        of_ana, of_bo, of_cy, of_admin = (_of(stream, secret) for stream in streams)
        assert of_ana[0] == "IncidentCreated"
        assert set(of_ana) == set(of_admin) == {"IncidentCreated", "EscalationDue", "IncidentAcknowledged"}
        assert {"EscalationDue", "IncidentAcknowledged"} <= set(of_bo)
        assert of_cy == [], "it is none of hers"


async def test_whoever_comes_back_goes_on_where_they_were(world: World) -> None:
    await world.two_responders()
    token = world.admin.session["accessToken"]
    async with listening(world.gateway.url, token) as stream:
        first = await _opened_incident(world.admin)
        await stream.of("EscalationDue", first)
        await world.settle()
        position = stream.position
    assert position is not None
    assert (await world.admin.call("POST", f"/incidents/{first}/acknowledge")).status == 200
    second = await _opened_incident(world.admin)
    await world.settle()
    for path, after in (
        ("/api/v1/stream", position),
        (f"/api/v1/stream?after={position}", None),
        ("/api/stream", position),
    ):
        async with listening(world.gateway.url, token, after, path) as again:
            await again.of("EscalationDue", second)
            assert (await world.admin.call("POST", f"/incidents/{second}/acknowledge")).status == 200
            third = await _opened_incident(world.admin)
            await again.of("EscalationDue", third)
            assert "reset" not in [frame["type"] for frame in again.seen]
            told = again.told
            assert len(told) == len(set(told)), "nothing is told twice"
            assert [kind for kind, one in told if one == first] == ["IncidentAcknowledged"]
            assert [kind for kind, one in told if one == second][:2] == ["IncidentCreated", "EscalationDue"]
            # Each frame's position is one to go on from.
            places = [frame["position"] for frame in again.seen if "incident" in frame]
            assert len(places) == len(set(places))


async def test_a_gateway_that_was_restarted_and_another_replica_go_on(world: World) -> None:
    await world.two_responders()
    token = world.admin.session["accessToken"]
    async with listening(world.gateway.url, token) as stream:
        one = await _opened_incident(world.admin)
        await stream.of("EscalationDue", one)
        await world.settle()
    assert (await world.admin.call("POST", f"/incidents/{one}/acknowledge")).status == 200
    async with world.another_gateway() as other, listening(other.url, token, stream.position) as again:
        await again.of("IncidentAcknowledged", one)
        assert _of(again, one) == ["IncidentAcknowledged"]
        assert (await world.admin.call("POST", f"/incidents/{one}/resolve")).status == 200
        await again.of("IncidentResolved", one)
        ended = asyncio.create_task(again.closed())
        await other.stop()
        assert (await ended)[0] == Close.RESTARTING
        closing = next(frame for frame in again.seen if frame["type"] == "closing")
        assert 0 <= closing["retryAfter"] <= 5
    async with listening(world.gateway.url, token, again.position) as back:
        assert (await world.admin.call("POST", f"/incidents/{one}/close")).status == 200
        await back.of("IncidentClosed", one)
        assert _of(back, one) == ["IncidentClosed"]


async def test_a_position_that_cannot_be_gone_on_from_is_reset(world: World) -> None:
    token = world.admin.session["accessToken"]
    one = await _opened_incident(world.admin)
    await world.settle()
    async with listening(world.gateway.url, token) as stream:
        rights = str(stream.position).partition("~")[2]
    cases = {
        f"7-1.7-1.7-1.7-1~{rights}": "another_epoch",
        f"1-999999.1-999999.1-999999.1-999999~{rights}": "unknown_position",
        f"1-1~{rights}": "unknown_position",
        "anything": "unknown_position",
        f"{str(stream.position).partition('~')[0]}~00000000": "other_rights",
    }
    for position, reason in cases.items():
        async with listening(world.gateway.url, token, position) as again:
            assert (await again.of("reset"))["reason"] == reason, position
            await world.admin.call("PATCH", f"/incidents/{one}", {"title": position[:9]})
            told = await again.of("IncidentEdited", one)
            assert told["incident"]["title"] == position[:9]


async def test_a_token_that_is_over_ends_its_stream_and_another_one_goes_on(world: World) -> None:
    bo = await world.person("bo")
    async with listening(world.gateway.url, bo.session["accessToken"]) as stream:
        ready = stream.seen[0]
        world.clock.advance(minutes=14, seconds=30)
        expiring = await stream.of("expiring")
        assert expiring["expiresAt"] == ready["expiresAt"]
        fresh = await world.http("POST", "/auth/refresh", {"deviceId": bo.device_id}, bo.session["refreshToken"])
        assert fresh.status == 200, fresh.body
        await stream.say(type="authenticate", token=fresh.data["tokens"]["accessToken"])
        assert (await stream.of("renewed"))["expiresAt"] > ready["expiresAt"]
        world.clock.advance(minutes=5)
        await stream.say(type="ping", id="7")
        assert (await stream.of("pong"))["id"] == "7"
        world.clock.advance(minutes=15)
        code, reason = await stream.closed()
        assert (code, "expired" in reason) == (Close.UNAUTHENTICATED, True)


async def test_what_takes_rights_away_ends_streams_or_says_to_list_again(world: World) -> None:
    for name in ("ana", "bo", "cy"):
        await world.person(name)
    ana, bo, cy = (world.phone(name) for name in ("ana", "bo", "cy"))
    shop = await team(world, "Shop", ana="member")
    await ana.sign_in()
    async with AsyncExitStack() as stack:
        of_ana, of_bo, of_cy = [
            await stack.enter_async_context(listening(world.gateway.url, who.session["accessToken"]))
            for who in (ana, bo, cy)
        ]
        assert (await world.admin.call("DELETE", f"/teams/{shop}/members/{ana.user_id}")).status == 200
        assert (await bo.call("POST", "/auth/logout", {"deviceId": bo.device_id})).status in (200, 204)
        assert (await world.admin.call("POST", f"/users/{cy.user_id}/deactivate")).status == 200
        for stream in (of_ana, of_bo, of_cy):
            assert (await stream.closed())[0] == Close.UNAUTHENTICATED
    await ana.sign_in()
    async with listening(world.gateway.url, ana.session["accessToken"], of_ana.position) as again:
        assert (await again.of("reset"))["reason"] == "other_rights"


async def test_an_api_key_listens_until_it_is_revoked(world: World) -> None:
    made = await world.admin.call("POST", "/api-keys", {"name": "wall", "scopes": ["incidents.list"]})
    assert made.status == 201, made.body
    key = made.data["apiKey"]
    async with listening(world.gateway.url, key["key"]) as stream:
        assert stream.seen[0]["expiresAt"] is None
        one = await _opened_incident(world.admin)
        await stream.of("IncidentCreated", one)
        world.clock.advance(minutes=30)
        await world.admin.sign_in()
        two = await _opened_incident(world.admin)
        await stream.of("IncidentCreated", two)
        assert (await world.admin.call("DELETE", f"/api-keys/{key['id']}")).status == 200
        assert (await stream.closed())[0] == Close.UNAUTHENTICATED
    made = await world.admin.call("POST", "/api-keys", {"name": "other", "scopes": ["schedules.read"]})
    async with opened(f"{world.gateway.url}/api/v1/stream") as refused:
        await refused.say(type="authenticate", token=made.data["apiKey"]["key"])
        assert (await refused.closed())[0] == Close.FORBIDDEN


async def test_while_the_bus_is_away_clients_are_told_so_and_miss_nothing(restorable: Restorable) -> None:
    world = restorable.world
    await world.two_responders()
    token = world.admin.session["accessToken"]
    async with listening(world.gateway.url, token) as stream, listening(world.gateway.url, token) as gone:
        one = await _opened_incident(world.admin)
        for each in (stream, gone):
            await each.of("EscalationDue", one)
        await world.settle()
        await gone.socket.close()
        await restorable.bus.kill()
        assert (await stream.of("heartbeat"))["live"] is False
        world.clock.advance(minutes=6)  # the first level's time is over: what is committed now is told later
        await restorable.bus.restart()
        await stream.of("IncidentEscalated", one)
        if not [frame["live"] for frame in stream.seen if frame["type"] == "heartbeat"][-1]:
            assert (await stream.of("heartbeat"))["live"]
    async with listening(world.gateway.url, token, gone.position) as again:
        await again.of("IncidentEscalated", one)
        assert _of(again, one).count("IncidentEscalated") == 1
        assert "reset" not in [frame["type"] for frame in again.seen]


async def test_a_rebuild_of_incidents_disturbs_no_stream(world: World) -> None:
    await world.two_responders()
    async with listening(world.gateway.url, world.admin.session["accessToken"]) as stream:
        one = await _opened_incident(world.admin)
        await stream.of("EscalationDue", one)
        await world.settle()
        before = len(stream.told)
        await rebuilt(world, "incidents", swap=True)
        assert (await world.admin.call("POST", f"/incidents/{one}/acknowledge")).status == 200
        await stream.of("IncidentAcknowledged", one)
        assert stream.told[before:] == [("IncidentAcknowledged", one)], "nothing old is told again"
