"""The gateway refuses a bad token, and so does the service behind it: nobody gets past by a side door."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import uuid4

from joserfc import jwt
from joserfc.jwk import RSAKey

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


def _other_key(token: str) -> str:
    kid = json.loads(urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))["kid"]
    return jwt.encode({"alg": "RS256", "kid": kid}, _claims(token), RSAKey.generate_key(2048))


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
