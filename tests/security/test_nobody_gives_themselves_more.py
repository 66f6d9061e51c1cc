"""Roles and teams are given by who may, and an address by its connection: never by a body or a header."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import select

from services.auth.tables.passwords import guesses
from tests.attacks import Attack, Told
from tests.integration.test_teams_see_their_own import team
from tests.phone import PASSWORD
from tests.world import World


async def test_nobody_gives_themselves_a_role_or_a_team(world: World, told: Told) -> None:
    ana = await world.person("ana")
    before = (await ana.call("GET", "/users/me")).data["user"]
    gifts = {
        Attack.ROLE_BY_BODY: {"roles": ["admin"]},
        Attack.TEAM_BY_BODY: {"teamIds": [str(uuid4())]},
    }
    for attack, gift in gifts.items():
        own = await ana.call("PATCH", "/users/me", {"firstName": "Anna"} | gift)
        assert (own.status, own.body["error"]["details"]["field"]) == (400, next(iter(gift))), own.body
        login = {"email": ana.email, "password": PASSWORD, "deviceId": "x"}
        for path, body in (("/auth/login", login), ("/auth/refresh", {"refreshToken": "x", "deviceId": "x"})):
            answer = await world.http("POST", path, body | gift)
            assert (answer.status, answer.body["error"]["code"]) == (400, "VALIDATION_ERROR"), path
        as_admin = await ana.call("PATCH", f"/users/{ana.user_id}", gift)
        assert as_admin.status == 403
        assert (await ana.call("GET", "/users/me")).data["user"] == before
        told(attack, "400, which names the field; 403 at the admins' door")


async def test_another_address_for_each_guess_is_one_address_where_no_proxy_is_believed(
    world: World, told: Told
) -> None:
    body = {"email": "nobody@pager.test", "password": "guess", "deviceId": "x"}
    statuses = []
    for number in range(12):
        answer = await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": f"192.0.2.{number}"})
        statuses.append(answer.status)
    assert (statuses.count(401), statuses.count(429)) == (5, 7), "the brake counts them all as one"
    rows = await world.services["auth"].runtime.work.read(lambda work: work.fetch(select(guesses)))
    assert len({bytes(row["place"]) for row in rows if row["wrong"]}) <= 2, "a place, and everywhere"
    told(Attack.FORWARDED_FOR, "429 after five: one address for the brake and the lockout alike")


async def test_whoever_puts_somebody_into_their_team_reads_no_number_by_that(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    lia = await world.person("lia", roles=("user", "lead"))
    assert (await ana.call("PATCH", "/users/me", {"phone": "+4930123456"})).status == 200
    shop = await team(world, "Shop", bo="manager")
    await bo.sign_in()
    put = await bo.call("POST", f"/teams/{shop}/members", {"userId": str(ana.user_id)})
    assert put.status in (200, 201), put.body
    paths = (f"/users/{ana.user_id}", "/users?limit=100", f"/teams/{shop}/members")
    assert not [path for path in paths if "+4930123456" in str((await bo.call("GET", path)).body)]
    assert (await lia.call("GET", paths[0])).data["user"]["phone"] == "+4930123456"
    await ana.sign_in()
    assert (await ana.call("GET", "/users/me")).data["user"]["phone"] == "+4930123456"
