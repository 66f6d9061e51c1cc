"""A browser's refresh token is in a cookie that no script reads and no other page sends; none stays open for ever."""

from __future__ import annotations

import json
from http.cookies import SimpleCookie
from typing import Any

import pytest

from tests.attacks import Attack, Told
from tests.device import DeviceKey
from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

pytestmark = pytest.mark.services("auth")

NAME = "__Secure-pager-refresh"


class Browser:
    """As a page of ours in it would ask; `origin` is whose page it is."""

    def __init__(self, world: World, email: str, device: str = "browser") -> None:
        self.world, self.email, self.device = world, email, device
        self.origin: str | None = world.gateway.url
        self.cookie = self.access = ""

    async def post(self, path: str, body: Any, *, token: str | None = None, **headers: str) -> Answer:
        origin = {} if self.origin is None else {"Origin": self.origin}
        kept = {"Cookie": f"{NAME}={self.cookie}"} if self.cookie else {}
        answer = await self.world.http("POST", path, body, token, **origin, **kept, **headers)
        if "Set-Cookie" in answer.headers:
            self.cookie = SimpleCookie(answer.headers["Set-Cookie"])[NAME].value
        if answer.status == 200:
            self.access = answer.data.get("tokens", {}).get("accessToken", self.access)
        return answer

    async def sign_in(self, **more: Any) -> Answer:
        body = {"email": self.email, "password": PASSWORD, "deviceId": self.device, "platform": "web"}
        return await self.post("/auth/login", body | more)

    async def refresh(self, **more: Any) -> Answer:
        return await self.post("/auth/refresh", {"deviceId": self.device} | more)

    async def asks(self) -> int:
        return (await self.world.http("GET", "/users/me", token=self.access)).status


@pytest.fixture
async def ana(world: World) -> Phone:
    return await world.person("ana")


@pytest.fixture
async def browser(world: World, ana: Phone) -> Browser:
    made = Browser(world, ana.email)
    assert (await made.sign_in()).status == 200
    return made


async def test_the_cookie_is_for_auth_alone_and_no_answer_carries_its_token(world: World, ana: Phone) -> None:
    browser = Browser(world, ana.email)
    answers = [await browser.sign_in()]
    before = browser.cookie
    answers.append(await browser.refresh())
    assert before != browser.cookie
    body = {"currentPassword": PASSWORD, "newPassword": "Another-Horse-9-Charger"}
    answers.append(await browser.post("/auth/password/change", body, token=browser.access))
    for answer in answers:
        assert answer.status == 200, answer.body
        assert "refreshToken" not in answer.data["tokens"]
        assert browser.cookie not in json.dumps(answer.body)
        (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
        assert (cookie.key, cookie["path"], cookie["samesite"]) == (NAME, "/api/v1/auth", "Strict")
        assert all((cookie["httponly"], cookie["secure"], not cookie["domain"]))
    assert (await browser.refresh()).status == 200, "the password's change has given it another one"
    assert await browser.asks() == 200


async def test_a_phone_is_told_its_refresh_token_and_gets_no_cookie(world: World, ana: Phone) -> None:
    body = {"email": ana.email, "password": PASSWORD, "deviceId": "p", "platform": "ios"}
    answer = await world.http("POST", "/auth/login", body)
    assert answer.data["tokens"]["refreshToken"]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://127.0.0.1:1", "http://localhost"])
async def test_no_other_page_uses_the_cookie(
    world: World, ana: Phone, browser: Browser, origin: str | None, told: Told
) -> None:
    """Cross-site request forgery, by a browser that would send the cookie all the same."""
    kept, browser.origin = browser.cookie, origin
    for path, body in (("/auth/refresh", {}), ("/auth/logout", {}), ("/auth/logout", {"allDevices": True})):
        answer = await browser.post(path, {"deviceId": browser.device} | body)
        assert (answer.status, answer.body["error"]["code"]) == (403, "FORBIDDEN")
    assert (await browser.sign_in()).status == 403, "nor is a browser signed in as somebody else"
    plain = {"Content-Type": "text/plain"}
    assert (await browser.post("/auth/refresh", b'{"deviceId": "browser"}', **plain)).status in (403, 415)
    assert browser.cookie == kept
    browser.origin = world.gateway.url
    assert (await browser.refresh()).status == 200
    told(Attack.CSRF, "403 FORBIDDEN, and the cookie stays as it was")


async def test_pages_that_the_settings_name_use_it_and_nobody_else(servers: Any) -> None:
    settings = {"public_url": "https://Pager.example:443/", "cors_origins": "https://app.pager.example"}
    async with World(servers, ("auth",), **settings) as world:
        for origin, status in {
            "https://pager.example": 200,
            "https://app.pager.example": 200,
            "http://pager.example": 403,
            "https://pager.example.evil.example": 403,
            world.gateway.url: 403,
        }.items():
            browser = Browser(world, world.admin.email)
            browser.origin = origin
            assert (await browser.sign_in()).status == status, origin


@pytest.mark.services("auth", "incidents")
async def test_the_cookie_opens_nothing_but_auth(world: World, ana: Phone, browser: Browser) -> None:
    kept = {"Cookie": f"{NAME}={browser.cookie}", "Origin": world.gateway.url}
    for method, path in (("GET", "/users/me"), ("GET", "/incidents"), ("GET", "/auth/sessions"), ("POST", "/devices")):
        assert (await world.http(method, path, {} if method == "POST" else None, **kept)).status == 401
    for shown in (browser.cookie, browser.access):
        refreshed = await world.http("POST", "/auth/refresh", {"deviceId": browser.device}, shown)
        assert refreshed.status == 401, "what a browser keeps is good in its cookie only"
    ana_cookie = {"Cookie": f"{NAME}={ana.session['refreshToken']}", "Origin": world.gateway.url}
    planted = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, **ana_cookie)
    assert planted.status == 401, "nor is a phone's good in a cookie"
    assert (await browser.refresh()).status == 200


@pytest.mark.parametrize("by", ["cookie", "token"])
async def test_signing_out_takes_the_cookie_away(world: World, browser: Browser, by: str) -> None:
    kept, token = browser.cookie, browser.access if by == "token" else None
    answer = await browser.post("/auth/logout", {"deviceId": browser.device}, token=token)
    assert answer.status == 200
    (cookie,) = SimpleCookie(answer.headers["Set-Cookie"]).values()
    assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/api/v1/auth")
    assert await browser.asks() == 401
    browser.cookie = kept
    answer = await browser.refresh()
    assert (answer.status, browser.cookie) == (401, ""), "a cookie that is good no longer goes as well"


async def test_a_browser_that_nobody_uses_is_closed_after_half_an_hour_however_often_it_refreshes(
    world: World, ana: Phone, browser: Browser
) -> None:
    for _ in range(5):
        world.clock.advance(minutes=5)
        assert (await browser.refresh()).status == 200
    world.clock.advance(minutes=4)
    assert (await browser.refresh()).status == 200
    world.clock.advance(minutes=1)
    assert await browser.asks() == 401, "its last access token ends with it"
    assert (await browser.refresh()).status == 401
    ended = [event.data.reason for event in await world.log("auth", "SessionEnded")]
    assert ended == ["idle"]
    answer = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, ana.session["refreshToken"])
    assert answer.status == 200, "a phone locks itself"


async def test_a_browser_that_somebody_uses_stays_open(world: World, browser: Browser) -> None:
    for _ in range(10):
        assert await browser.asks() == 200
        await _heard(world)
        world.clock.advance(minutes=14)
        assert (await browser.refresh()).status == 200


async def test_a_clock_that_was_ahead_has_left_no_browser_open_for_years(world: World, ana: Phone) -> None:
    world.clock.advance(minutes=365 * 24 * 60)
    browser = Browser(world, ana.email, "another")
    assert (await browser.sign_in()).status == 200
    world.clock.advance(minutes=-365 * 24 * 60)
    assert (await browser.refresh()).status == 200
    world.clock.advance(minutes=31)
    assert (await browser.refresh()).status == 401


@pytest.mark.services("auth", "incidents")
async def test_half_an_hour_begins_with_the_last_request_also_when_auth_was_away_then(
    world: World, browser: Browser
) -> None:
    assert (await world.http("GET", "/incidents", token=browser.access)).status == 200
    await world.stop("auth")
    world.clock.advance(minutes=10)
    answer = await world.http("GET", "/incidents", token=browser.access)
    assert answer.status == 200
    await world.start("auth")
    world.clock.advance(minutes=19)
    await _heard(world)
    assert (await browser.refresh()).status == 200
    world.clock.advance(minutes=10)
    assert (await browser.refresh()).status == 200, "39 minutes after it was signed in, 29 after the last request"
    world.clock.advance(minutes=1)
    assert (await browser.refresh()).status == 401


async def test_a_browser_may_be_bound_to_a_key_too(world: World, ana: Phone) -> None:
    browser, key = Browser(world, ana.email), DeviceKey()
    assert (await browser.sign_in(deviceKey=key.public)).status == 200
    kept = browser.cookie
    answer = await browser.refresh()
    assert (answer.status, browser.cookie) == (401, kept), "it needs a proof, and goes on"
    assert answer.body["error"]["details"]["field"] == "proof"
    of = {"ath": answer.body["error"]["details"]["ath"]}
    for bad in (DeviceKey().proof("", **of), key.proof(browser.device), key.proof(kept, aud="others")):
        assert (await browser.refresh(proof=bad)).status == 401
    good = key.proof("", **of)
    assert (await browser.refresh(proof=good)).status == 200
    assert browser.cookie != kept
    again = await browser.refresh(proof=good)
    assert again.status == 401, "a proof is good once, and for one cookie"
    assert again.body["error"]["details"]["ath"] != of["ath"]
    assert (await browser.refresh(proof=key.proof(browser.cookie))).status == 200


@pytest.mark.services("auth", "incidents")
async def test_a_bound_browser_whose_session_has_ended_still_answers_its_page(world: World, ana: Phone) -> None:
    browser, key = Browser(world, ana.email), DeviceKey()
    credential = (await browser.sign_in(deviceKey=key.public)).data["deviceCredential"]
    world.clock.advance(minutes=31)
    assert (await browser.refresh(proof=key.proof(browser.cookie))).status == 401

    shown = key.use(credential, "GET", "/incidents")
    assert (await world.http("GET", "/incidents?status=created", **shown)).status == 200


async def _heard(world: World) -> None:
    """Auth has heard of all that was asked for."""

    async def untold() -> int:
        await world.gateway.front.presences.catch_up()
        return len(world.gateway.front.presences.untold)

    await world.eventually(untold, lambda left: left == 0, "that auth has heard who is at work")
