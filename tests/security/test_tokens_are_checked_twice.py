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

from tests.world import World

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


async def test_forged_altered_and_expired_tokens_are_refused_at_the_gateway_and_at_every_service(
    world: World,
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
    bad = {
        "none": None,
        "nonsense": "nonsense",
        "unsigned": _unsigned(good),
        "another key": _other_key(good),
        "a key's name that is a path": _headed(good, kid="../../../../../../dev/null"),
        "a key's name of 10 kB": _headed(good, kid="k" * 10_000),
        "its own key beside it": _headed(good, own=True),
        "where its key is": _headed(good, jku="https://example.org/keys.json"),
        "HS256 with the public key": _by_the_public_key(good, (await world.rpc("auth", "keys")).data["keys"][0]),
        "another role": _altered(good, roles=["admin"]),
        "another person": _altered(good, sub=str(world.admin.user_id)),
        "a later end": _altered(good, exp=_claims(good)["exp"] + 10_000),
        "a refresh token": ana.session["refreshToken"],
        "half of it": good[: len(good) // 2],
    }
    for name, token in bad.items():
        answer = await world.http("GET", "/users/me", token=token)
        assert (answer.status, answer.body["error"]["code"]) == (401, "UNAUTHENTICATED"), name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        for service in _ASKED:
            assert await service_says(service, token) == "unauthenticated", f"{name} at {service}"
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


async def test_internals_are_not_reachable_over_http(world: World) -> None:
    for path in ("/parked", "/replay", "/events", "/incidents/parked", "/rpc/incidents/replay", "/../api/metrics"):
        answer = await world.admin.call("GET", path)
        assert answer.status in (400, 404), (path, answer.status)
