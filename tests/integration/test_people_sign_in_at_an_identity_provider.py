"""People sign in at an identity provider, a real one: who they are, what their groups give them, and what holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.device import DeviceKey
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import query
from tests.phone import PASSWORD, Answer
from tests.provider.browser import App, Browser, Seen
from tests.provider.real import APP, WEB, RealProvider
from tests.servers import Servers
from tests.world import World


@pytest.fixture(scope="module")
async def provider(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealProvider]:
    folder: Path = tmp_path_factory.mktemp("provider")
    async with RealProvider(folder) as made:
        yield made


@pytest.fixture
async def world(servers: Servers, provider: RealProvider) -> AsyncIterator[World]:
    async with World(servers, ("auth",), **provider.settings()) as made:
        yield made


def _somebody(name: str, *groups: str, **more: Any) -> dict[str, Any]:
    known = {
        "email": f"{name}@pager.test",
        "email_verified": True,
        "given_name": name.capitalize(),
        "family_name": "Ek",
    }
    return known | {"groups": list(groups)} | more


async def _came_back(provider: RealProvider, browser: Browser, name: str, app: App) -> Seen:
    """All the way through the provider and back to the app."""
    assert (await browser.get(f"{provider.url}/login/{name}")).status == 200
    started = await browser.start(app)
    assert started.status == 302, started.text
    there = await browser.get(started.location)
    assert there.status == 302, there.text
    back = await browser.get(there.location)
    assert back.status == 302, back.text
    return back


async def _signed_in(world: World, provider: RealProvider, name: str, device_id: str = "phone", **more: Any) -> Answer:
    app = App(world, device_id)
    async with Browser(world) as browser:
        back = await _came_back(provider, browser, name, app)
    assert "code" in back.query, back.location
    return await app.fetch(back.query["code"], **more)


async def _roles(world: World, name: str) -> list[str]:
    users = (await world.admin.call("GET", "/users")).data["users"]
    (found,) = [user["roles"] for user in users if user["email"] == f"{name}@pager.test"]
    return list(found)


async def test_somebody_new_whose_group_is_let_in_gets_an_account_and_a_session(
    world: World, provider: RealProvider
) -> None:
    provider.knows(eva=_somebody("eva", "sre", "unknown to us"))
    answer = await _signed_in(world, provider, "eva", deviceName="Eva's", pushToken="a" * 64)
    assert answer.status == 200, answer.body
    user, tokens = answer.data["user"], answer.data["tokens"]
    assert (user["email"], user["firstName"], user["lastName"]) == ("eva@pager.test", "Eva", "Ek")
    assert (sorted(user["roles"]), user["emailVerified"]) == (["lead", "user"], True)
    sessions = (await world.http("GET", "/auth/sessions", token=tokens["accessToken"])).data["sessions"]
    assert [(s["deviceId"], s["deviceName"], s["platform"]) for s in sessions] == [("phone", "Eva's", "ios")]
    renewed = await world.http("POST", "/auth/refresh", {"deviceId": "phone"}, tokens["refreshToken"])
    assert renewed.status == 200, renewed.body
    names = ("UserRegistered", "IdentityLinked", "EmailVerified", "SignedIn")
    events = [event for event in await world.log("auth", *names) if event.actor.id == user["id"]]
    assert [event.name for event in events] == list(names)
    assert (events[1].data.issuer, str(events[1].data.by)) == (provider.issuer, "registered")
    again = await _signed_in(world, provider, "eva", "laptop")
    assert again.data["user"]["id"] == user["id"]
    assert len(await world.log("auth", "IdentityLinked")) == 1


async def test_an_account_without_a_password_is_opened_by_none_until_it_is_given_one(
    world: World, provider: RealProvider
) -> None:
    provider.knows(ina=_somebody("ina", "everybody"))
    user = (await _signed_in(world, provider, "ina")).data["user"]
    for password in ("", ".", "." * 31, PASSWORD):
        body = {"email": "ina@pager.test", "password": password or " ", "deviceId": "d"}
        assert (await world.http("POST", "/auth/login", body)).status == 401
    link = await world.admin.call("POST", f"/users/{user['id']}/password/reset-link", {})
    token = link.data["link"]["url"].partition("#")[2]
    reset = {"token": token, "newPassword": PASSWORD}
    assert (await world.http("POST", "/auth/password/reset", reset)).status == 200
    world.clock.advance(minutes=2)
    login = {"email": "ina@pager.test", "password": PASSWORD, "deviceId": "d"}
    assert (await world.http("POST", "/auth/login", login)).status == 200


async def test_an_account_is_linked_by_a_verified_address_once_and_only_so(
    world: World, provider: RealProvider
) -> None:
    ana = await world.person("ana", roles=("lead",))
    provider.knows(ana=_somebody("ana", email_verified=False))
    app = App(world)
    async with Browser(world) as browser:
        for unsure in (False, None, "true", 1):
            provider.knows(ana=_somebody("ana", "everybody", email_verified=unsure))
            refused = await _came_back(provider, browser, "ana", app)
            assert refused.query["error"] == "access_denied", refused.location
            assert "verified" in refused.query["error_description"]
            world.clock.advance(minutes=0.4)
    provider.knows(ana=_somebody("ana", email=" ANA@pager.test"))
    answer = await _signed_in(world, provider, "ana")
    assert (answer.status, answer.data["user"]["id"]) == (200, str(ana.user_id))
    assert answer.data["user"]["emailVerified"]
    assert await _roles(world, "ana") == ["user"], "groups give and take it, and no group of theirs does"
    (event,) = await world.log("auth", "IdentityLinked")
    assert (event.data.user_id, str(event.data.by)) == (ana.user_id, "address")
    # Somebody else, who was given the address later.
    provider.knows(ann=_somebody("ana", "everybody"), ana=_somebody("moved", "everybody"))
    async with Browser(world) as browser:
        refused = await _came_back(provider, browser, "ann", app)
    assert "an admin can part them" in refused.query["error_description"]
    assert (await _signed_in(world, provider, "ana")).data["user"]["id"] == str(ana.user_id)
    parted = await world.admin.call("DELETE", f"/users/{ana.user_id}/identities")
    assert parted.status == 200, parted.body
    assert (await _signed_in(world, provider, "ann")).data["user"]["id"] == str(ana.user_id)
    assert (await world.admin.call("DELETE", f"/users/{provider.issuer}/identities")).status in (400, 404)
    assert (await ana.call("DELETE", f"/users/{ana.user_id}/identities")).status == 403


async def test_whoever_nobody_knows_and_no_group_lets_in_is_told_so(world: World, provider: RealProvider) -> None:
    provider.knows(ole=_somebody("ole", "others"))
    async with Browser(world) as browser:
        refused = await _came_back(provider, browser, "ole", App(world, redirect_uri=WEB))
    assert refused.location.startswith(f"{WEB}&error=access_denied")
    assert "none of your groups" in refused.query["error_description"]
    assert not [event for event in await world.log("auth", "UserRegistered") if event.data.email == "ole@pager.test"]


async def test_groups_are_looked_at_at_each_sign_in_and_the_last_admin_stays(
    world: World, provider: RealProvider
) -> None:
    provider.knows(uwe=_somebody("uwe", "bosses"))
    first = await _signed_in(world, provider, "uwe")
    assert first.data["user"]["roles"] == ["admin"]
    provider.knows(uwe=_somebody("uwe", "sre"))
    second = await _signed_in(world, provider, "uwe", "laptop")
    assert sorted(second.data["user"]["roles"]) == ["lead", "user"]
    token = first.data["tokens"]["accessToken"]
    assert (await world.http("GET", "/users/me", token=token)).status == 401, "the token from before says admin"
    assert (await world.http("GET", "/users/me", token=second.data["tokens"]["accessToken"])).status == 200
    provider.knows(uwe=_somebody("uwe", "bosses"))
    third = await _signed_in(world, provider, "uwe")
    admin = third.data["tokens"]["accessToken"]
    away = await world.http("POST", f"/users/{world.admin.user_id}/deactivate", {}, admin)
    assert away.status == 200, away.body
    del provider.people["uwe"]["groups"]  # as a provider says it that tells of no group at all
    provider.knows()
    fourth = await _signed_in(world, provider, "uwe")
    assert sorted(fourth.data["user"]["roles"]) == ["admin", "user"], "somebody must be able to let people in"
    roles = await world.log("auth", "RolesChanged")
    assert {event.actor.id for event in roles} == {"auth"}


async def test_groups_give_places_in_teams_and_take_them(servers: Servers, provider: RealProvider) -> None:
    given = (
        '{"staff": "user", "payers": {"team": "payments"}, "heads": {"team": "Payments", "role": "manager"},'
        ' "others": {"team": "Nobody has made it"}}'
    )
    async with World(servers, ("auth",), **provider.settings(oidc_group_roles=given)) as world:
        made = [await world.admin.call("POST", "/teams", {"name": name}) for name in ("Payments", "By hand")]
        payments, by_hand = [answer.data["team"]["id"] for answer in made]

        async def teams(*groups: str) -> dict[str, str]:
            provider.knows(zoe=_somebody("zoe", *groups))
            answer = await _signed_in(world, provider, "zoe")
            assert answer.status == 200, answer.body
            return {team["id"]: team["role"] for team in answer.data["user"]["teams"]}

        assert await teams("payers", "others") == {payments: "member"}
        users = (await world.admin.call("GET", "/users")).data["users"]
        (zoe,) = [user for user in users if user["email"] == "zoe@pager.test"]
        assert zoe["roles"] == ["user"]
        body = {"userId": zoe["id"], "role": "manager"}
        assert (await world.admin.call("POST", f"/teams/{by_hand}/members", body)).status in (200, 201)
        assert await teams("heads", "payers") == {payments: "manager", by_hand: "manager"}
        assert await teams("staff") == {by_hand: "manager"}
        assert await teams("payers") == {payments: "member", by_hand: "manager"}
        room = "services.auth.team_room.MOST_MEMBERS"
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(room, 1)
            provider.knows(tom=_somebody("tom", "payers"))
            late = await _signed_in(world, provider, "tom", "d")
            assert (late.status, late.data["user"]["teams"]) == (200, []), "it is full"
            assert await teams("heads") == {payments: "manager", by_hand: "manager"}, "who is in it stays"


async def test_whoever_is_deactivated_is_not_let_in(world: World, provider: RealProvider) -> None:
    provider.knows(pia=_somebody("pia", "everybody"))
    app, user = App(world), (await _signed_in(world, provider, "pia")).data["user"]
    async with Browser(world) as browser:
        back = await _came_back(provider, browser, "pia", app)
        assert (await world.admin.call("POST", f"/users/{user['id']}/deactivate", {})).status == 200
        late = await app.fetch(back.query["code"])
        assert late.status == 401, late.body
        refused = await _came_back(provider, browser, "pia", app)
    assert (refused.query["error"], refused.query["error_description"]) == (
        "access_denied",
        "your account is deactivated",
    )
    refusals = await world.eventually(
        lambda: world.log("auth", "SignInRefused"), lambda found: len(found) == 2, "both refusals in the log"
    )
    assert {(str(event.data.user_id), event.data.reason) for event in refusals} == {(user["id"], "deactivated")}


async def test_the_sixth_device_names_one_to_replace(world: World, provider: RealProvider) -> None:
    provider.knows(max=_somebody("max", "everybody"))
    for number in range(5):
        assert (await _signed_in(world, provider, "max", f"d{number}")).status == 200
    app = App(world, "d5")
    async with Browser(world) as browser:
        back = await _came_back(provider, browser, "max", app)
    full = await app.fetch(back.query["code"])
    assert (full.status, len(full.body["error"]["details"]["devices"])) == (409, 5)
    assert (await app.fetch(back.query["code"], replace="d0")).status == 200
    assert (await app.fetch(back.query["code"], replace="d1")).status == 401, "it was used"


async def test_a_code_that_is_shown_again_ends_the_session_that_it_has_begun(
    world: World, provider: RealProvider
) -> None:
    provider.knows(max=_somebody("max", "everybody"))
    app = App(world, "phone")
    async with Browser(world) as browser:
        back = await _came_back(provider, browser, "max", app)
    code = back.query["code"]
    first = await app.fetch(code, deviceKey=DeviceKey().public)
    token = first.data["tokens"]["accessToken"]
    assert (await world.http("GET", "/users/me", token=token)).status == 200
    assert (await app.fetch(code)).status == 401

    async def refused() -> int:
        return (await world.http("GET", "/users/me", token=token)).status

    await world.eventually(refused, lambda status: status == 401, "the first session to be over")
    assert await _kept(world) == 0, "nor is anything else that the code gave good for anything"
    (ended,) = await world.log("auth", "SessionEnded")
    assert ended.data.reason == "its one-use code was shown again"

    async def told() -> list[Any]:
        return await world.log("auth", "SignInRefused")

    (audited,) = await world.eventually(told, bool, "the audit of it")
    assert audited.data.reason == "one-use code shown again"
    assert (await _signed_in(world, provider, "max")).status == 200
    assert (await app.fetch(code)).status == 401
    assert len(await world.log("auth", "SessionEnded")) == 1, "what was begun otherwise goes on"


async def _kept(world: World) -> int:
    """How many devices' credentials there are."""
    ((number,),) = await query(world, "SELECT count(*) FROM auth.device_credentials")
    return int(number)


async def test_the_session_is_bound_to_the_key_of_the_phone_that_fetches_it(
    world: World, provider: RealProvider
) -> None:
    provider.knows(kim=_somebody("kim", "everybody"))
    key = DeviceKey()
    answer = await _signed_in(world, provider, "kim", deviceKey=key.public)
    assert (answer.status, answer.data["deviceCredential"] is not None) == (200, True), answer.body
    token, body = answer.data["tokens"]["refreshToken"], {"deviceId": "phone"}
    assert (await world.http("POST", "/auth/refresh", body, token)).status == 401
    foreign = body | {"proof": DeviceKey().proof(token)}
    assert (await world.http("POST", "/auth/refresh", foreign, token)).status == 401
    assert (await world.http("POST", "/auth/refresh", body | {"proof": key.proof(token)}, token)).status == 200
    for wrong in ({"kty": "RSA"}, {**key.public, "d": "AAAA"}, "x"):
        app = App(world, "another")
        async with Browser(world) as browser:
            back = await _came_back(provider, browser, "kim", app)
        assert (await app.fetch(back.query["code"], deviceKey=wrong)).status == 400, wrong
        assert (await app.fetch(back.query["code"])).status == 200, "what cannot be read uses nothing up"


async def test_a_browsers_session_is_in_a_cookie(world: World, provider: RealProvider) -> None:
    provider.knows(lou=_somebody("lou", "everybody"))
    app = App(world, "laptop", redirect_uri=WEB)
    async with Browser(world) as browser:
        back = await _came_back(provider, browser, "lou", app)
    code, told = back.query["code"], {"code": back.query["code"], "codeVerifier": app.verifier, "platform": "web"}
    assert (await app.fetch(code, platform="web")).status == 403, "without an Origin"
    foreign = await world.http("POST", "/auth/oidc/token", told, Origin="https://evil.example")
    assert foreign.status == 403, foreign.body
    answer = await world.http("POST", "/auth/oidc/token", told, Origin=world.gateway.url)
    assert (answer.status, "refreshToken" in answer.data["tokens"]) == (200, False), answer.body
    assert "HttpOnly" in answer.headers["Set-Cookie"]


async def test_the_sign_in_goes_through_a_proxy_with_https(servers: Servers, provider: RealProvider) -> None:
    public_url = "https://pager.test"
    async with (
        World(servers, ("auth",), public_url=public_url, **provider.settings()) as world,
        Browser(world, public_url) as browser,
    ):
        started = await browser.start(App(world), **{})
        assert started.query["redirect_uri"] == f"{public_url}/api/v1/auth/oidc/callback"
        (cookie,) = started.headers.getall("Set-Cookie")
        assert cookie.startswith("__Host-pager-sign-in=")
        words = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"secure", "httponly", "samesite=lax", "path=/", "max-age=600"} <= words
        assert not [word for word in words if word.startswith("domain")]
        foreign = await browser.get(
            f"{public_url}/api/v1/auth/oidc/start?deviceId=d&redirectUri={APP}&codeChallenge={'A' * 43}",
            Host="evil.example",
            **{"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        )
        assert "evil" not in foreign.location
        assert foreign.headers["Set-Cookie"].startswith("__Host-")
