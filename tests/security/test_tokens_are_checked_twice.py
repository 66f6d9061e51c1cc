"""The gateway refuses a bad token, and so does the service behind it: nobody gets past by a side door."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from tests.attacks import Attack, Told
from tests.world import World, signing_key

_ASKED = {"auth": "me", "oncall": "schedules", "incidents": "list", "escalation": "policies", "notifier": "list"}


def _claims(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    return dict(json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def _altered(token: str, **changes: Any) -> str:
    """The same header and signature around other claims."""
    header, _, signature = token.split(".")
    raw = urlsafe_b64encode(json.dumps(_claims(token) | changes).encode()).rstrip(b"=").decode()
    return f"{header}.{raw}.{signature}"


def _unsigned(token: str) -> str:
    header = urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def _headed(token: str, **header: Any) -> str:
    """The same claims under this header, signed by a stranger."""
    key = RSAKey.generate_key(2048)
    own = {"kid": _kid(token)} | ({"jwk": dict(key.as_dict(private=False))} if header.pop("own", False) else {})
    registry = JWSRegistry(strict_check_header=False)
    return jwt.encode({"alg": "RS256"} | own | header, _claims(token), key, registry=registry)


def _kid(token: str) -> str:
    return str(json.loads(urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))["kid"])


def _by_the_public_key(token: str, jwk: dict[str, Any]) -> str:
    """The confusion of RS256 and HS256: what anybody may read, as a shared secret."""
    header = urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": _kid(token)}).encode()).rstrip(b"=").decode()
    signed = f"{header}.{token.split('.')[1]}"
    signature = hmac.digest(RSAKey.import_key(jwk).as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _other_key(token: str) -> str:
    return jwt.encode({"alg": "RS256", "kid": _kid(token)}, _claims(token), RSAKey.generate_key(2048))


def _signed(token: str, **changes: Any) -> str:
    """Other claims under auth's own key, as a fault of auth's would issue them."""
    claims = {name: value for name, value in (_claims(token) | changes).items() if value is not None}
    return jwt.encode({"alg": "RS256", "kid": _kid(token)}, claims, signing_key(0).private)


async def test_forged_altered_and_expired_tokens_are_refused_at_the_gateway_and_at_every_service(
    world: World, told: Told
) -> None:
    ana = await world.person("ana")
    good = ana.session["accessToken"]
    body = {"incidentId": str(uuid4())}

    async def service_says(service: str, token: str | None) -> str:
        asked = body if service == "notifier" else {}
        reply = await world.rpc(service, _ASKED[service], asked, token)
        return "ok" if reply.error is None else str(reply.error.kind)

    assert (await world.http("GET", "/users/me", token=good)).status == 200
    assert {await service_says(service, good) for service in _ASKED} == {"ok"}
    now, key = int(world.clock.now().timestamp()), (await world.rpc("auth", "keys")).data["keys"][0]
    assert (await world.http("GET", "/users/me", token=_signed(good, jti=str(uuid4())))).status == 200, "it is the key"
    bad: dict[Attack | str, str | None] = {
        "none": None,
        "nonsense": "nonsense",
        "another key": _other_key(good),
        "half of it": good[: len(good) // 2],
        "a key's name of 10 kB": _headed(good, kid="k" * 10_000),
        "another person": _altered(good, sub=str(world.admin.user_id)),
        "a later end": _altered(good, exp=_claims(good)["exp"] + 10_000),
        "a longer life than any": _signed(good, exp=now + 86_400),
        Attack.ALG_NONE: _unsigned(good),
        Attack.WRONG_KID: _headed(good, kid="k" * 43),
        Attack.PATH_KID: _headed(good, kid="../../../../../../dev/null"),
        Attack.OWN_JWK: _headed(good, own=True),
        Attack.OWN_JKU: _headed(good, jku="https://example.org/keys.json"),
        Attack.HS256: _by_the_public_key(good, key),
        Attack.TAMPERED: _altered(good, roles=["admin"]),
        Attack.REFRESH_AS_ACCESS: ana.session["refreshToken"],
        Attack.AUDIENCE: _signed(good, aud="another"),
        Attack.ISSUER: _signed(good, iss="https://example.org"),
        Attack.EXPIRED: _signed(good, iat=now - 1000, nbf=now - 1000, exp=now - 100),
    }
    for name, token in bad.items():
        answer = await world.http("GET", "/users/me", token=token)
        assert (answer.status, answer.body["error"]["code"]) == (401, "UNAUTHENTICATED"), name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        for service in _ASKED:
            assert await service_says(service, token) == "unauthenticated", f"{name} at {service}"
        if isinstance(name, Attack):
            told(name, "401 at the gateway, and at every service behind it")
    early = await world.http("GET", "/users/me", token=_signed(good, iat=now + 600, nbf=now + 600, exp=now + 900))
    assert (early.status, early.body["error"]["code"]) == (503, "UNAVAILABLE"), "its bearer is told to come again"
    told(Attack.NOT_YET, "503: come again")
    world.clock.advance(minutes=16)
    assert (await world.http("GET", "/users/me", token=good)).status == 401
    assert {await service_says(service, good) for service in _ASKED} == {"unauthenticated"}


async def test_a_role_is_checked_by_the_service_and_not_only_by_the_gateway(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    person = {"email": "x@pager.test", "password": "Correct-Horse-8", "firstName": "X", "lastName": "Y"}
    level = {"timeoutMinutes": 1, "targets": [{"type": "role", "role": "admin"}]}
    for service, operation, body in (
        ("auth", "register_user", person),
        ("escalation", "create_policy", {"name": "x", "levels": [level]}),
        ("oncall", "create_schedule", {"name": "x"}),
        ("incidents", "create_integration", {"name": "x"}),
    ):
        reply = await world.rpc(service, operation, body, token)
        assert reply.error is not None
        assert reply.error.kind == "forbidden", f"{service} {operation}"


async def test_internals_are_not_reachable_over_http(world: World, told: Told) -> None:
    for path in ("/parked", "/replay", "/events", "/incidents/parked", "/rpc/incidents/replay", "/../api/metrics"):
        answer = await world.admin.call("GET", path)
        assert answer.status in (400, 404), (path, answer.status)
    told(Attack.INTERNALS, "404")
