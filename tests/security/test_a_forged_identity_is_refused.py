"""What an identity provider says of people is believed where everything about it is right, and only then."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import web

from services.auth.oidc.provider import PATIENCE
from tests.attacks import Attack, Told
from tests.phone import PASSWORD
from tests.provider.browser import App, Browser, Seen
from tests.provider.forger import CLIENT_ID, CURVE, KEY, OTHER, SECRET, Forge, Forger, by_hand, signed
from tests.provider.real import APP, CALLBACK
from tests.servers import Servers
from tests.world import ADMIN, World

_PUBLIC_PEM = KEY.as_pem(private=False)


@pytest.fixture
async def forger() -> AsyncIterator[Forger]:
    async with Forger() as made:
        yield made


@pytest.fixture
async def world(servers: Servers, forger: Forger) -> AsyncIterator[World]:
    async with World(servers, ("auth",), **forger.settings()) as made:
        forger.clock = made.clock
        yield made


@pytest.fixture
async def browser(world: World) -> AsyncIterator[Browser]:
    async with Browser(world) as made:
        yield made


async def _begun(browser: Browser, forger: Forger, app: App) -> str:
    """The state of a sign-in that the forger now answers for."""
    started = await browser.start(app)
    assert started.status == 302, started.text
    forger.nonce = started.query["nonce"]
    return started.query["state"]


async def _came_back(browser: Browser, forger: Forger, app: App, **said: str) -> Seen:
    state = await _begun(browser, forger, app)
    return await browser.come_back(**{"state": state, "code": "of the provider"} | said)


async def _code(browser: Browser, forger: Forger, app: App) -> str:
    back = await _came_back(browser, forger, app)
    assert "code" in back.query, back.location
    return back.query["code"]


def _unsigned(claims: dict[str, Any]) -> str:
    return by_hand(claims, {"alg": "none"}, None)


def _shared(secret: bytes) -> Forge:
    return lambda claims: by_hand(claims, {"alg": "HS256", "kid": "one"}, secret)


def _by(key: Any = KEY, algorithm: str = "RS256", **header: Any) -> Forge:
    return lambda claims: signed(claims, key, algorithm, **header)


def _saying(**claims: Any) -> Forge:
    """None leaves a claim out."""
    return lambda good: signed({k: v for k, v in (good | claims).items() if v is not None})


def _tampered(claims: dict[str, Any]) -> str:
    head, _, signature = signed(claims).split(".")
    _, other, _ = signed(claims | {"sub": "somebody else"}).split(".")
    return f"{head}.{other}.{signature}"


def _later(seconds: float, *names: str) -> Forge:
    return lambda good: signed(good | dict.fromkeys(names, good["iat"] + seconds))


FORGED: dict[str, tuple[Attack, Forge]] = {
    "no algorithm": (Attack.OIDC_ALG, _unsigned),
    "the public key as a secret": (Attack.OIDC_ALG, _shared(_PUBLIC_PEM)),
    "the client's secret": (Attack.OIDC_ALG, _shared(SECRET.encode())),
    "another key of the same name": (Attack.OIDC_KEY, _by(OTHER, kid="one")),
    "a key that nobody knows": (Attack.OIDC_KEY, _by(OTHER)),
    "a key by a path": (Attack.OIDC_KEY, _by(OTHER, kid="../../keys")),
    "a key that it brings along": (Attack.OIDC_KEY, _by(OTHER, jwk=OTHER.as_dict(private=False))),
    "an algorithm of another kind of key": (Attack.OIDC_KEY, _by(CURVE, "ES256", kid="one")),
    "no kid, where there are two keys": (Attack.OIDC_KEY, _by(OTHER, kid=None)),
    "other claims under the signature": (Attack.OIDC_KEY, _tampered),
    "expired": (Attack.OIDC_TIMES, _later(-61, "exp")),
    "not yet begun": (Attack.OIDC_TIMES, _later(62, "nbf", "iat")),
    "no end": (Attack.OIDC_TIMES, _saying(exp=None)),
    "an end that is no number": (Attack.OIDC_TIMES, _saying(exp="9999999999")),
    "another client": (Attack.OIDC_CLIENT, _saying(aud="another")),
    "another client among several": (Attack.OIDC_CLIENT, _saying(aud=[CLIENT_ID, "another"])),
    "issued to another client": (Attack.OIDC_CLIENT, _saying(aud=[CLIENT_ID, "another"], azp="another")),
    "issued to another, for us": (Attack.OIDC_CLIENT, _saying(azp="another")),
    "for nobody": (Attack.OIDC_CLIENT, _saying(aud=None)),
    "another issuer": (Attack.OIDC_ISSUER, _saying(iss="https://accounts.example")),
    "no nonce": (Attack.OIDC_NONCE, _saying(nonce=None)),
    "another nonce": (Attack.OIDC_NONCE, _saying(nonce="of another sign-in")),
    "another access token's": (Attack.OIDC_KEY, _saying(at_hash="A" * 22)),
    "nobody": (Attack.OIDC_KEY, _saying(sub=None)),
    "no token": (Attack.OIDC_KEY, lambda _: "x" * 70_000),
    "no JSON": (Attack.OIDC_KEY, lambda _: "é.é.é"),
}


async def test_a_forged_token_signs_nobody_in(world: World, forger: Forger, browser: Browser, told: Told) -> None:
    app, got_in = App(world), {}
    for what, (attack, forge) in FORGED.items():
        forger.forge = forge
        back = await _came_back(browser, forger, app)
        if back.query.get("error") != "access_denied":
            got_in[what] = back.location or back.text
        told(attack, f"{back.status} back to the app with error={back.query.get('error')}")
        world.clock.advance(seconds=13)  # five a minute may be refused
    assert got_in == {}
    assert len(await world.log("auth", "IdentityLinked", "UserRegistered")) == 1, "the admin"
    (refused, *_) = await world.eventually(_seen(world, "UnknownAccountRefused"), bool, "the refusals in the log")
    assert refused.data.reason == "identity token refused"
    forger.forge = signed
    assert (await app.fetch(await _code(browser, forger, app))).status == 200


async def test_what_a_good_token_may_look_like(world: World, forger: Forger, browser: Browser) -> None:
    half = urlsafe_b64encode(hashlib.sha256(b"an access token").digest()[:16]).decode().rstrip("=")
    good: dict[str, Forge] = {
        "an audience of several, issued to us": _saying(aud=[CLIENT_ID, "another"], azp=CLIENT_ID),
        "a clock that is behind ours": _later(-59, "exp"),
        "a clock that is ahead": _later(59, "iat"),
        "the access token's hash": _saying(at_hash=half),
        "a curve": _by(CURVE, "ES256"),
        "another padding": _by(KEY, "PS512"),
        "no kid, where one key fits": _by(CURVE, "ES256", kid=None),
        "headers of others": _by(KEY, jku="https://evil.example/keys", x5t="abc"),
    }
    for what, forge in good.items():
        forger.forge = forge
        back = await _came_back(browser, forger, App(world), session_state="of Keycloak", scope="of Google")
        assert "code" in back.query, (what, back.location)
    assert {path for path, _ in forger.asked} == {"/.well-known/openid-configuration", "/token", "/keys"}
    (first, *_) = forger.asked_of("/token")
    assert (first["basic"], first["basic_secret"], first["redirect_uri"]) == (CLIENT_ID, SECRET, CALLBACK)
    assert "client_secret" not in first


async def test_a_browser_comes_back_with_its_own_sign_in_only(
    world: World, forger: Forger, browser: Browser, told: Told
) -> None:
    """Login CSRF: whoever has a browser finish another's sign-in would have its owner work in a foreign account."""
    app, theirs = App(world), App(world)
    async with Browser(world) as attackers, Browser(world) as empty:
        foreign, mine = await _begun(attackers, forger, theirs), await _begun(browser, forger, app)
        (jar,), (stolen,) = browser.cookies.values(), attackers.cookies.values()
        kept = dict(jar)
        tried = {
            "another's state": await browser.come_back(state=foreign, code="c"),
            "no state": await browser.come_back(code="c"),
            "no cookie": await empty.come_back(state=mine, code="c"),
        }
        world.clock.advance(minutes=1)
        jar |= stolen
        tried["another's cookie"] = await browser.come_back(state=mine, code="c")
        jar |= dict.fromkeys(jar, "A" * 400)
        tried["a cookie that nobody has sealed"] = await browser.come_back(state=mine, code="c")
        for what, seen in tried.items():
            assert (seen.status, seen.location) == (401, ""), (what, seen)
            told(Attack.OIDC_LOGIN_CSRF, f"{seen.status} and no way back to the app")
        assert not forger.asked_of("/token")
        # With the attacker's cookie and state, as a neighbouring host may set one: the app has another verifier.
        world.clock.advance(minutes=1)
        foreign = await _begun(attackers, forger, theirs)
        jar |= stolen
        code = (await browser.come_back(state=foreign, code="c")).query["code"]
        fetched = await app.fetch(code)
        assert fetched.status == 401, fetched.body
        told(Attack.OIDC_LOGIN_CSRF, f"a code that the app cannot use: {fetched.status}")
        jar |= kept
        forger.nonce = "of nobody"
        assert (await browser.come_back(state=mine, code="c")).query["error"] == "access_denied"


async def test_a_sign_in_that_took_too_long_is_begun_again(world: World, forger: Forger, browser: Browser) -> None:
    state = await _begun(browser, forger, App(world))
    world.clock.advance(minutes=10)
    assert (await browser.come_back(state=state, code="c")).status == 401
    state = await _begun(browser, forger, App(world))
    world.clock.advance(minutes=-12)
    assert (await browser.come_back(state=state, code="c")).status == 401, "begun by a clock that was ahead"
    assert not forger.asked_of("/token")


async def test_nobody_is_sent_back_but_to_an_app_of_ours(world: World, forger: Forger, told: Told) -> None:
    async with Browser(world) as browser:
        for uri in (
            "https://evil.example/signed-in",
            f"{APP}/more",
            f"{APP}?x=1",
            APP.upper(),
            f"{APP}%2F..",
            APP.removesuffix("n"),
            " " + APP,
            "javascript:alert(1)",
        ):
            refused = await browser.start(App(world, redirect_uri=uri))
            assert (refused.status, refused.location) == (400, ""), uri
            assert "redirectUri" in refused.text
            told(Attack.OIDC_REDIRECT, f"{refused.status}")
        for more in ({"codeChallenge": "short"}, {"deviceId": "\n"}, {"nonce": "mine"}):
            assert (await browser.start(App(world), **more)).status == 400, more
    assert not forger.asked


async def test_a_code_opens_one_session_for_whoever_began_it(
    world: World, forger: Forger, browser: Browser, told: Told
) -> None:
    app, other = App(world), App(world)
    code = await _code(browser, forger, app)
    stolen = await other.fetch(code)
    assert stolen.status == 401, stolen.body
    told(Attack.OIDC_VERIFIER, f"{stolen.status} {stolen.body['error']['code']}")
    assert (await app.fetch(code)).status == 401, "whoever else has shown it has used it up"
    code = await _code(browser, forger, app)
    elsewhere = await app.fetch(code, deviceId="another")
    assert elsewhere.status == 401, elsewhere.body
    code = await _code(browser, forger, app)
    answers = await asyncio.gather(*(app.fetch(code) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401]
    told(Attack.OIDC_CODE_TWICE, "one of three gets a session, the others 401 UNAUTHENTICATED")
    world.clock.advance(minutes=2)
    code = await _code(browser, forger, app)
    world.clock.advance(seconds=60)
    assert (await app.fetch(code)).status == 401
    code, newer = await _code(browser, forger, app), await _code(browser, forger, app)
    assert (await app.fetch(code)).status == 401, "there is one at a time for a device"
    assert (await app.fetch(newer)).status == 200
    for wrong in ("", "x" * 300):
        assert (await app.fetch(wrong)).status == 400
    world.clock.advance(minutes=2)
    for _ in range(5):
        assert (await app.fetch("A" * 43)).status == 401
    assert (await app.fetch("A" * 43)).status == 429


async def test_the_providers_word_for_several_factors_counts_and_ours_is_asked_for_without(
    world: World, forger: Forger, browser: Browser
) -> None:
    import pyotp

    app = App(world)
    first = await app.fetch(await _code(browser, forger, app))
    token = first.data["tokens"]["accessToken"]
    secret = (await world.http("POST", "/users/me/totp", {}, token)).data["secret"]
    totp = pyotp.TOTP(secret)

    def code(steps: int = 0) -> str:
        return totp.at(int(world.clock.now().timestamp()) + 30 * steps)

    assert (await world.http("POST", "/users/me/totp/confirm", {"code": code()}, token)).status == 200
    world.clock.advance(minutes=1)
    shown = await _code(browser, forger, app)
    wanted = await app.fetch(shown)
    assert (wanted.status, wanted.body["error"]["code"]) == (401, "SECOND_FACTOR_REQUIRED")
    assert (await app.fetch(shown, totp="000000")).body["error"]["code"] == "UNAUTHENTICATED"
    assert (await app.fetch(shown, totp=code())).status == 200, "what was wrong has not used it up"
    (refused,) = await world.eventually(_seen(world, "SignInRefused"), bool, "the refusal in the log")
    assert refused.data.reason == "wrong code"
    for methods, status in ((["pwd"], 401), ("mfa", 401), (["pwd", "otp", "mfa"], 200)):
        forger.claims = {"amr": methods}
        assert (await app.fetch(await _code(browser, forger, app))).status == status, methods


async def test_roles_that_no_group_gives_stay_and_groups_are_bounded(
    world: World, forger: Forger, browser: Browser
) -> None:
    eva = await world.person("eva", roles=("lead",))
    app = App(world)

    async def roles(groups: Any, **more: Any) -> list[str]:
        forger.claims = {"groups": groups, **more}
        answer = await app.fetch(await _code(browser, forger, app))
        assert answer.data["user"]["id"] == str(eva.user_id)
        return sorted(answer.data["user"]["roles"])

    assert await roles(["everybody", "bosses", 7, None, "x" * 300]) == ["admin", "lead", "user"]
    assert await roles("everybody") == ["lead", "user"]
    assert await roles([]) == ["lead"]
    forger.userinfo = {
        "sub": "eva-at-the-provider",
        "groups": ["bosses"],
        "iss": "https://evil.example",
        "amr": ["mfa"],
    }
    world.clock.advance(minutes=61)  # what it says of itself is asked again
    assert await roles(None) == ["admin", "lead"]
    for groups, more in (
        (["everybody"] * 1001, {}),
        (7, {}),
        (None, {"_claim_names": {"groups": "src1"}, "email": "eva@pager.test"}),
    ):
        forger.userinfo = {"sub": "eva-at-the-provider"}
        forger.claims = {"groups": groups, **more}
        back = await _came_back(browser, forger, app)
        assert "does not tell your groups" in back.query.get("error_description", ""), (groups, back.location)
    forger.claims, forger.userinfo = {"groups": None}, {"sub": "somebody else", "groups": ["bosses"]}
    assert (await _came_back(browser, forger, app)).query["error"] == "access_denied"


async def test_names_of_any_kind_become_something_to_see(world: World, forger: Forger, browser: Browser) -> None:
    told: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
        "a": ({"given_name": None, "family_name": None, "name": "Ann Mary Lee"}, ("Ann Mary", "Lee")),
        "b": ({"given_name": None, "family_name": None, "name": "Cher"}, ("Cher", "Cher")),
        "c": ({"given_name": "\u0000\n ", "family_name": "\u200b"}, ("c", "c")),
        "d": ({"given_name": "A\nB" + "x" * 5000, "family_name": ["Ek"]}, (("A B" + "x" * 100)[:100], "d")),
    }
    for name, (claims, expected) in told.items():
        forger.claims = claims | {"sub": name, "email": f"{name}@pager.test"}
        app = App(world, name)
        user = (await app.fetch(await _code(browser, forger, app))).data["user"]
        assert (user["firstName"], user["lastName"]) == expected, name


async def test_while_the_provider_is_away_a_break_glass_admin_signs_in_with_a_password(
    world: World, forger: Forger, browser: Browser
) -> None:
    app, login = App(world), {"email": ADMIN, "password": PASSWORD, "deviceId": "laptop"}
    state = await _begun(browser, forger, app)
    forger.goes_on.clear()
    waiting = asyncio.create_task(browser.come_back(state=state, code="c"))
    await world.eventually(_found(lambda: forger.asked_of("/token")), bool, "a question for the token")
    assert (await world.http("POST", "/auth/login", login)).status == 200, "while others wait for it"
    back = await waiting
    assert back.query["error"] == "temporarily_unavailable", back.location
    forger.goes_on.set()
    (trouble,) = (await world.health("auth"))["troubles"]
    assert (trouble["culprit"], trouble["effect"]) == ("sign-in", "warning")
    for answer in (
        lambda: web.Response(status=500),
        lambda: web.Response(status=302, headers={"Location": f"{forger.issuer}/keys"}),
        lambda: web.Response(body=b"x" * 600_000),
        lambda: web.Response(body=b"x", headers={"Content-Encoding": "gzip"}),
        lambda: web.json_response({"access_token": "alone"}),
        lambda: web.json_response([]),
        lambda: web.Response(body=b"[" * 100_000),
    ):
        forger.answers = {"/token": answer}
        back = await _came_back(browser, forger, app)
        assert back.query["error"] == "temporarily_unavailable", back.location
    for said in ("invalid_grant", {"not": "a word"}, ["x"]):
        forger.answers = {"/token": partial(web.json_response, {"error": said}, status=400)}
        assert (await _came_back(browser, forger, app)).query["error"] == "access_denied", said
        world.clock.advance(minutes=1)
    forger.answers = {}
    assert (await app.fetch(await _code(browser, forger, app))).status == 200
    assert (await world.health("auth"))["troubles"] == []
    assert PATIENCE < 5, "the gateway hears of it in time"


def _seen(world: World, name: str) -> Callable[[], Any]:
    return lambda: world.log("auth", name)


def _found(look: Callable[[], Any]) -> Callable[[], Any]:
    async def found() -> Any:
        return look()

    return found


async def test_a_provider_that_is_not_what_the_settings_say_is_not_gone_to(
    world: World, forger: Forger, browser: Browser
) -> None:
    for wrong in (
        {"issuer": "https://accounts.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://id.example/authorize?a=\n"},
        {"authorization_endpoint": "https://id.example/authorize?a=\u202e"},
        {"jwks_uri": None},
    ):
        forger.metadata = wrong
        away = await browser.start(App(world))
        assert (away.status, away.location) == (503, ""), wrong
        assert int(away.headers["Retry-After"]) >= 1
    forger.metadata = {"authorization_response_iss_parameter_supported": True}
    app = App(world)
    state = await _begun(browser, forger, app)
    assert (await browser.come_back(state=state, code="c", iss="https://accounts.example")).query["error"]
    state = await _begun(browser, forger, app)
    assert (await browser.come_back(state=state, code="c")).query["error"] == "access_denied"
    assert not forger.asked_of("/token")
    state = await _begun(browser, forger, app)
    assert "code" in (await browser.come_back(state=state, code="c", iss=forger.issuer)).query
    state = await _begun(browser, forger, app)
    denied = await browser.come_back(state=state, error="<script>", error_description="of anybody's")
    assert denied.query == {"error": "access_denied", "error_description": "the sign-in was not finished there"}
    started = await browser.start(app)
    assert dict(parse_qsl(urlsplit(started.location).query))["tenant"] == "one"


async def test_an_access_token_that_no_header_can_hold_is_the_providers_fault(
    world: World, forger: Forger, browser: Browser
) -> None:
    forger.claims, forger.userinfo = {"groups": None}, {"sub": "eva-at-the-provider", "groups": ["everybody"]}
    for odd in ("é", "a\nb", "\u202e"):
        forger.answers["/token"] = partial(_redeemed, forger, odd)
        back = await _came_back(browser, forger, App(world))
        assert back.query.get("error") == "temporarily_unavailable", (odd, back.status, back.text)
    del forger.answers["/token"]
    assert "code" in (await _came_back(browser, forger, App(world))).query


def _redeemed(forger: Forger, access_token: str) -> web.Response:
    return web.json_response({"id_token": signed(forger._good()), "access_token": access_token})


async def test_somebody_elses_address_is_not_verified_by_the_word_for_ones_own(
    world: World, forger: Forger, browser: Browser
) -> None:
    """Where a provider lets people write an address into their token, and vouches for another one elsewhere."""
    own = {"sub": "eva-at-the-provider", "email": "eva@pager.test", "email_verified": True, "groups": ["everybody"]}
    forger.claims, forger.userinfo = {"email": ADMIN, "email_verified": None, "groups": None}, own
    back = await _came_back(browser, forger, App(world))
    assert "has not verified" in back.query.get("error_description", ""), back.location
    assert await world.log("auth", "IdentityLinked") == []


async def test_a_new_key_of_the_providers_is_asked_for_seldom(world: World, forger: Forger, browser: Browser) -> None:
    app = App(world)
    assert "code" in (await _came_back(browser, forger, app)).query
    forger.forge = _by(OTHER)
    for _ in range(3):
        assert (await _came_back(browser, forger, app)).query["error"] == "access_denied"
    assert len(forger.asked_of("/keys")) == 1, "none since ten seconds ago"
    forger.keys = [OTHER.as_dict(private=False), {"kty": "oct", "k": "AAAA", "kid": "one"}, {"kty": "RSA"}, 7]  # type: ignore[list-item]
    world.clock.advance(seconds=11)
    assert "code" in (await _came_back(browser, forger, app)).query
    forger.forge = signed
    assert (await _came_back(browser, forger, app)).query["error"] == "access_denied", "its key is gone"
    assert len(forger.asked_of("/keys")) == 2


async def test_refused_sign_ins_are_braked_by_address(world: World, forger: Forger, browser: Browser) -> None:
    forger.forge = _saying(nonce="another")
    for _ in range(5):
        assert (await _came_back(browser, forger, App(world))).query["error"] == "access_denied"
    state = await _begun(browser, forger, App(world))
    assert (await browser.come_back(state=state, code="c")).status == 429
    assert len(forger.asked_of("/token")) == 5


async def test_without_a_provider_there_are_no_such_doors(servers: Servers) -> None:
    async with World(servers, ("auth",)) as world, Browser(world) as browser:
        assert (await browser.start(App(world))).status == 404
        assert (await browser.come_back(state="s", code="c")).status == 404
        assert (await App(world).fetch("A" * 43)).status == 404
