"""A session that is bound to a phone's key is renewed by that phone and by nobody else, and no thief ends it."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from services.auth.tables.sessions import used_proofs
from tests.attacks import Attack, Told
from tests.device import DeviceKey
from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

pytestmark = pytest.mark.services("auth")


async def _sign_in(world: World, ana: Phone, device: str, key: DeviceKey | None, **more: Any) -> Answer:
    bound = {} if key is None else {"deviceKey": key.public}
    body = {"email": ana.email, "password": PASSWORD, "deviceId": device} | bound | more
    return await world.http("POST", "/auth/login", body)


async def _refresh(world: World, device: str, token: str, proof: str | None = None) -> Answer:
    body = {"deviceId": device} | ({} if proof is None else {"proof": proof})
    return await world.http("POST", "/auth/refresh", body, token)


async def _bound(world: World) -> tuple[Phone, DeviceKey, str]:
    """Ana, her phone's key, and the refresh token of its session."""
    ana, key = await world.person("ana"), DeviceKey()
    answer = await _sign_in(world, ana, "phone", key)
    assert answer.status == 200, answer.body
    ana.session = answer.data["tokens"]
    return ana, key, ana.session["refreshToken"]


async def _goes_on(world: World, key: DeviceKey, token: str) -> str:
    answer = await _refresh(world, "phone", token, key.proof(token))
    assert answer.status == 200, answer.body
    return str(answer.data["tokens"]["refreshToken"])


def _tampered(proof: str) -> str:
    head, claims, signature = proof.split(".")
    return f"{head}.{claims}.{'A' * len(signature)}"


def _unsigned(proof: str) -> str:
    head = urlsafe_b64encode(json.dumps({"alg": "none", "typ": "pager-proof+jwt"}).encode()).rstrip(b"=").decode()
    return f"{head}.{proof.split('.')[1]}."


WRONG: dict[str, Any] = {
    "none at all": lambda key, token: None,
    "of another key": lambda key, token: DeviceKey().proof(token),
    "of another key, which it brings": lambda key, token: (
        (thief := DeviceKey()).proof(token, header={"jwk": thief.public})
    ),
    "a header that brings a key": lambda key, token: key.proof(token, header={"jwk": key.public}),
    "of another token": lambda key, token: key.proof(token[::-1]),
    "of no token": lambda key, token: key.proof(token, ath=None),
    "for others": lambda key, token: key.proof(token, aud="others"),
    "for nobody": lambda key, token: key.proof(token, aud=None),
    "of another type": lambda key, token: key.proof(token, header={"typ": "JWT"}),
    "without a number of its own": lambda key, token: key.proof(token, jti=None),
    "with no time": lambda key, token: key.proof(token, iat=None),
    "tampered with": lambda key, token: _tampered(key.proof(token)),
    "unsigned": lambda key, token: _unsigned(key.proof(token)),
    "signed with the public key as a secret": lambda key, token: jwt.encode(
        {"alg": "HS256", "typ": "pager-proof+jwt"}, {"aud": "pager"}, OctKey.import_key(json.dumps(key.public))
    ),
    "of another curve": lambda key, token: jwt.encode(
        {"alg": "ES384", "typ": "pager-proof+jwt"}, {"aud": "pager"}, ECKey.generate_key("P-384"), algorithms=["ES384"]
    ),
    "no JWT": lambda key, token: "a.b.c",
}  # fmt: skip


async def test_a_refresh_without_the_phones_proof_gets_nothing_and_ends_nothing(world: World, told: Told) -> None:
    _, key, token = await _bound(world)
    for what, made in WRONG.items():
        answer = await _refresh(world, "phone", token, made(key, token))
        assert (answer.status, answer.body["error"]["code"]) == (401, "UNAUTHENTICATED"), what
        assert answer.body["error"]["details"]["field"] == "proof", "the app knows that its session goes on"
    assert await _goes_on(world, key, token) != token
    assert not list(await world.log("auth", "SessionEnded"))
    told(Attack.NO_PROOF, "401, and the session goes on")


async def test_another_devices_refresh_is_refused_though_it_proves_its_own_key(world: World, told: Told) -> None:
    ana, key, token = await _bound(world)
    tablet = DeviceKey()
    assert (await _sign_in(world, ana, "tablet", tablet)).status == 200
    for device in ("tablet", "phone"):
        assert (await _refresh(world, device, token, tablet.proof(token))).status == 401
    assert await _goes_on(world, key, token)
    told(Attack.OTHER_DEVICE, "401, and the session goes on where it is bound")


async def test_a_proof_is_good_once(world: World, told: Told) -> None:
    _, key, token = await _bound(world)
    proof = key.proof(token)
    first = await _refresh(world, "phone", token, proof)
    assert first.status == 200
    assert (await _refresh(world, "phone", token, proof)).status == 401, "a thief who has seen the whole request"
    again = await _refresh(world, "phone", token, key.proof(token))
    assert again.data["tokens"]["refreshToken"] == first.data["tokens"]["refreshToken"], "the answer was lost"
    proof = key.proof(following := first.data["tokens"]["refreshToken"])
    answers = await asyncio.gather(*(_refresh(world, "phone", following, proof) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401]
    told(Attack.PROOF_REPLAYED, "401, one of five at once is answered")


async def test_reuse_ends_a_bound_session_too(world: World, told: Told) -> None:
    _, key, token = await _bound(world)
    following = await _goes_on(world, key, token)
    world.clock.advance(seconds=11)
    assert (await _refresh(world, "phone", token)).status == 401
    assert (await _refresh(world, "phone", following, key.proof(following))).status == 401
    ended = [event.data.reason for event in await world.log("auth", "SessionEnded")]
    assert ended == ["refresh token reused"]
    told(Attack.REUSED_REFRESH, "401, and the session is over")


async def test_a_phone_whose_clock_is_wrong_or_that_is_in_two_networks_stays_signed_in(world: World) -> None:
    _, key, token = await _bound(world)
    for iat in (0, 253_402_300_799):
        answer = await _refresh(world, "phone", token, key.proof(token, iat=iat))
        assert answer.status == 200, answer.body
        token = answer.data["tokens"]["refreshToken"]
    rows = await world.services["auth"].runtime.rpc.read(lambda work: work.fetch(used_proofs.select()))
    assert {row["issued_at"] for row in rows} == {0, 253_402_300_799}, "what its clock shows is kept"


async def test_proofs_are_forgotten_when_nobody_could_use_them_any_more(world: World) -> None:
    _, key, token = await _bound(world)
    token = await _goes_on(world, key, token)
    world.clock.advance(minutes=121)

    async def kept() -> list[Any]:
        return list(await world.services["auth"].runtime.rpc.read(lambda work: work.fetch(used_proofs.select())))

    await world.eventually(kept, lambda rows: rows == [], "that the proof is forgotten")
    assert await _goes_on(world, key, token)


async def test_a_session_is_never_bound_to_another_key(world: World, told: Told) -> None:
    """Whoever has stolen an access token and the refresh token, but not the key."""
    ana, key, token = await _bound(world)
    thief, access = DeviceKey(), ana.session["accessToken"]
    device = {"deviceId": "phone", "deviceName": "x", "platform": "android", "pushToken": "fcm-thief-1234"}
    attempts = [
        ("POST", "/devices", device | {"deviceKey": thief.public}, access),
        ("POST", "/auth/refresh", {"deviceId": "phone", "deviceKey": thief.public}, token),
        ("POST", "/auth/refresh", {"deviceId": "phone", "proof": thief.proof(token)}, token),
        ("PATCH", "/users/me", {"deviceKey": thief.public}, access),
        ("POST", "/auth/logout", {"deviceId": "phone", "deviceKey": thief.public}, access),
        ("POST", "/auth/login", {"email": ana.email, "deviceId": "phone", "deviceKey": thief.public}, access),
    ]
    for method, path, body, shown in attempts:
        assert (await world.http(method, path, body, shown)).status in (400, 401), path
    assert await _goes_on(world, key, token)
    told(Attack.REKEYED, "400 or 401, and the session stays bound")


async def test_changing_the_password_leaves_the_session_bound(world: World) -> None:
    ana, key, _ = await _bound(world)
    body = {"currentPassword": PASSWORD, "newPassword": "Another-Horse-9-Charger"}
    answer = await world.http("POST", "/auth/password/change", body, ana.session["accessToken"])
    token = answer.data["tokens"]["refreshToken"]
    assert (await _refresh(world, "phone", token)).status == 401
    assert await _goes_on(world, key, token)


async def test_sessions_say_whether_they_are_bound(world: World) -> None:
    ana, _, _ = await _bound(world)
    assert (await _sign_in(world, ana, "old-phone", None)).status == 200
    listed = (await ana.call("GET", "/auth/sessions")).data["sessions"]
    assert {one["deviceId"]: one["isBound"] for one in listed} == {
        "ana-phone": False,
        "phone": True,
        "old-phone": False,
    }


async def test_only_a_public_key_of_the_right_curve_is_taken(world: World, subtests: pytest.Subtests) -> None:
    ana, key = await world.person("ana"), DeviceKey()
    faults: dict[str, Any] = {
        "private": key.key.as_dict(private=True),
        "curve": ECKey.generate_key("P-384").as_dict(private=False),
        "kind": {"kty": "oct", "k": "AAAA"},
        "elsewhere": key.public | {"y": key.public["x"]},
        "short": key.public | {"x": "AAAA"},
        "more": key.public | {"jku": "https://evil.example/keys"},
        "used otherwise": key.public | {"use": "enc"},
    }
    for fault, given in faults.items():
        with subtests.test(fault=fault):
            body = {"email": ana.email, "password": PASSWORD, "deviceId": "phone", "deviceKey": given}
            answer = await world.http("POST", "/auth/login", body)
            assert (answer.status, answer.body["error"]["code"]) == (400, "VALIDATION_ERROR")
            assert answer.body["error"]["details"]["field"].startswith("deviceKey")


async def test_what_a_browser_exports_of_a_key_is_taken(world: World) -> None:
    ana, key = await world.person("ana"), DeviceKey()
    exported = key.public | {"key_ops": ["verify"], "ext": True, "alg": "ES256", "use": "sig", "kid": str(uuid4())}
    body = {"email": ana.email, "password": PASSWORD, "deviceId": "phone", "deviceKey": exported}
    assert (await world.http("POST", "/auth/login", body)).status == 200
