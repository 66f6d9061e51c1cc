"""What every answer carries, the access log, health and the documentation."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.chassis.settings import SettingsError
from libs.chassis.testing.deadline import in_time
from libs.contracts.health import Health
from libs.contracts.requests import ErrorKind, Refusal
from libs.contracts.subjects import SERVICES
from services.gateway.edge import masked
from services.gateway.health import HealthCheck
from services.gateway.main import Gateway
from services.gateway.settings import Settings
from services.gateway.tests import views as v
from services.gateway.tests.described import described
from services.gateway.tests.stubs import USER, World, json_of, world

pytestmark = pytest.mark.servers

ORIGIN = "https://pager.example"


async def test_every_answer_carries_the_security_headers_and_no_version(pager: World) -> None:
    for path in ("/api/v1/incidents", "/nothing", "/api/health/live"):
        headers = (await pager.call("GET", path, token=None)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers
        assert "Strict-Transport-Security" not in headers
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(("given", "kept"), [("abc-1", True), ("bad id", False), ("x" * 129, False)])
async def test_a_request_id_is_kept_when_it_is_usable(pager: World, given: str, kept: bool) -> None:
    answer = await pager.call("GET", "/nothing", headers={"X-Request-ID": given})

    assert (answer.headers["X-Request-ID"] == given) is kept
    assert answer.headers["X-Request-ID"]


async def test_a_head_is_a_get_without_a_body(pager: World) -> None:
    await pager.stubs.answer("incidents.get", v.INCIDENT)

    answer = await pager.call("HEAD", f"/api/v1/incidents/{v.ID}")

    assert (answer.status, answer.raw) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100


async def test_the_access_log_names_the_person_and_holds_no_secret(pager: World) -> None:
    await pager.stubs.answer("auth.remove_device")
    secret = "s3cret" * 8
    token = pager.token()

    with capture_logs() as lines:
        await pager.call("DELETE", f"/api/v1/devices/{secret}", token=token)
        await pager.call("GET", f"/api/v1/incidents?token={secret}", token=token)
        # A request is logged when its answer has left, which the caller may see first.
        async with in_time():
            while sum(line["event"] == "request" for line in lines) < 2:
                await asyncio.sleep(0.01)

    requests = [line for line in lines if line["event"] == "request"]
    assert [line["status"] for line in requests] == [200, 400]
    assert requests[0]["user_id"] == str(USER)
    assert requests[0]["route"] == "/api/v1/devices/{deviceId}"
    assert requests[0]["path"] == "/api/v1/devices/***"
    assert secret not in json.dumps(lines)
    assert token not in json.dumps(lines)


def test_ids_stay_readable_in_logged_paths() -> None:
    assert masked(f"/api/v1/incidents/{v.ID}") == f"/api/v1/incidents/{v.ID}"
    assert masked("/api/v1/integrations/" + "k" * 32 + "/grafana") == "/api/v1/integrations/***/grafana"


async def test_named_origins_may_call_from_browsers_and_https_turns_on_hsts() -> None:
    async with world(cors_origins=ORIGIN, public_url="https://pager.example") as pager:
        asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
        allowed = await pager.call("OPTIONS", "/api/v1/incidents", token=None, headers=asks)
        refused = await pager.call("GET", "/api/v1/incidents", token=None, headers={"Origin": "https://evil.example"})
        failed = await pager.call("GET", "/api/v1/incidents", token=None, headers={"Origin": ORIGIN})

    assert allowed.status == 200
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert failed.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "Access-Control-Allow-Origin" not in refused.headers
    assert failed.headers["Strict-Transport-Security"].startswith("max-age=")


async def test_the_app_may_call_from_its_shell_without_cookies() -> None:
    async with world(cors_origins=ORIGIN) as pager:
        asks = {
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "if-match, authorization, x-api-version, idempotency-key",
        }
        for origin in ("capacitor://localhost", "https://localhost"):
            allowed = await pager.call("OPTIONS", "/api/v1/users/me", token=None, headers={"Origin": origin} | asks)
            answer = await pager.call("GET", "/api/v1/users/me", token=None, headers={"Origin": origin})
            assert (allowed.status, answer.status) == (200, 401)
            assert answer.headers["Access-Control-Allow-Origin"] == origin
            assert "Access-Control-Allow-Credentials" not in {*allowed.headers, *answer.headers}
            shown = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
            assert shown >= {"etag", "retry-after", "x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining"}
        other = await pager.call("OPTIONS", "/api/v1/users/me", token=None, headers={"Origin": "http://x.test"} | asks)
        assert (other.status, other.error["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert "Access-Control-Allow-Origin" not in other.headers


def _health(service: str, **fields: Any) -> Any:
    return json_of(Health(service=service, instance="i", active=True, **({"ready": True} | fields)))


async def _all_healthy(pager: World, **others: Any) -> None:
    for service in SERVICES:
        if service not in others:
            await pager.stubs.answer(f"{service}.health", _health(service))
        elif isinstance(others[service], Refusal):
            await pager.stubs.answer(f"{service}.health", refusal=others[service])
        elif others[service] is not None:
            await pager.stubs.answer(f"{service}.health", others[service])


@pytest.fixture
def fresh(pager: World) -> World:
    """Forgets the health that was found a moment ago."""
    _check(pager)._found_at = float("-inf")
    return pager


def _check(pager: World) -> HealthCheck:
    return pager.gateway.front.health


@pytest.mark.parametrize("path", ["/api/health", "/api/v1/health"])
async def test_health_has_the_bare_shape_of_the_specification(fresh: World, path: str) -> None:
    await _all_healthy(fresh)
    fresh.clock.advance(seconds=5)

    answer = await fresh.call("GET", path, token=None)

    assert answer.status == 200
    assert answer.json == {
        "status": "ok",
        "timestamp": fresh.clock.now().isoformat().replace("+00:00", "Z"),
        "version": answer.json["version"],
        "uptime": int((fresh.clock.now() - _check(fresh).started).total_seconds()),
        "services": {
            "database": "healthy",
            "bus": "healthy",
            "push": "healthy",
            "storage": "unknown",
            "people": "unknown",
        },
        "troubles": [],
    }


async def test_health_and_ready_are_503_when_what_is_written_is_not_stored(fresh: World) -> None:
    await _all_healthy(fresh, incidents=_health("incidents", ready=False, unstored=["bus: ALERTS does not store"]))

    answer = await fresh.call("GET", "/api/health", token=None)
    ready = await fresh.call("GET", "/api/health/ready", token=None)

    assert (answer.status, answer.json["services"]["bus"]) == (503, "unhealthy")
    assert (ready.status, ready.json["status"], ready.json["services"]["incidents"]) == (503, "unavailable", "stopped")
    assert ready.json["troubles"] == answer.json["troubles"] != []


async def test_health_is_degraded_and_ready_while_there_is_little_room_left(fresh: World) -> None:
    low = {"culprit": "storage", "problem": "has little room left in nats", "effect": "fault"}
    await _all_healthy(fresh, incidents=_health("incidents", extra={"storage": "low"}, troubles=[low]))

    answer = await fresh.call("GET", "/api/health", token=None)
    ready = await fresh.call("GET", "/api/health/ready", token=None)

    assert (answer.status, answer.json["status"], answer.json["services"]["storage"]) == (200, "degraded", "low")
    assert (ready.status, ready.json["status"], ready.json["troubles"]) == (200, "degraded", [low])


async def test_health_names_the_policy_that_reaches_nobody(fresh: World) -> None:
    nobody = {"culprit": "policy Default", "problem": "reaches nobody", "effect": "warning"}
    said = _health("escalation", extra={"people": "unreachable"}, troubles=[nobody])
    await _all_healthy(fresh, escalation=said)

    answer = await fresh.call("GET", "/api/health", token=None)

    assert (answer.status, answer.json["status"], answer.json["services"]["people"]) == (200, "degraded", "unreachable")
    assert answer.json["troubles"] == [nobody]


async def test_strangers_learn_of_a_teams_policy_that_there_is_one_and_not_its_name(fresh: World) -> None:
    problem = {"problem": "reaches nobody", "effect": "warning"}
    said = [{"culprit": f"team policy {name}"} | problem for name in ("Merger with Acme", "Payments")]
    await _all_healthy(fresh, escalation=_health("escalation", troubles=said))

    for path in ("/api/health", "/api/health/ready", "/api/v1/health"):
        answer = await fresh.call("GET", path, token=None)
        assert answer.json["troubles"] == [{"culprit": "team policy"} | problem], path


async def test_health_says_when_pushes_are_simulated(fresh: World) -> None:
    await _all_healthy(fresh, notifier=_health("notifier", extra={"push": "simulated"}))

    answer = await fresh.call("GET", "/api/health", token=None)

    assert answer.json["services"]["push"] == "simulated"


@pytest.mark.parametrize("service", ["incidents", "escalation", "notifier"])
async def test_health_is_a_503_when_a_service_that_paging_needs_is_away(fresh: World, service: str) -> None:
    await _all_healthy(fresh, **{service: None})

    answer = await fresh.call("GET", "/api/health", token=None)

    assert (answer.status, answer.json["status"]) == (503, "unavailable")


async def test_health_is_a_503_when_consumption_stopped(fresh: World) -> None:
    await _all_healthy(fresh, notifier=_health("notifier", ready=False, stopped=["incidents.urgent: five in a row"]))

    answer = await fresh.call("GET", "/api/health", token=None)

    assert (answer.status, answer.json["services"]["push"]) == (503, "unknown")
    assert [trouble["culprit"] for trouble in answer.json["troubles"]] == ["notifier"]


async def test_health_tells_a_vendor_that_is_away_from_both(fresh: World) -> None:
    for effect, status, push in (("fault", 200, "degraded"), ("silence", 503, "unhealthy")):
        away = {"culprit": "push fcm", "problem": "cannot be reached: timeout", "effect": effect}
        await fresh.stubs.forget()
        _check(fresh)._found_at = float("-inf")
        await _all_healthy(fresh, notifier=_health("notifier", troubles=[away]))

        answer = await fresh.call("GET", "/api/health", token=None)

        assert (answer.status, answer.json["services"]["push"], answer.json["troubles"]) == (status, push, [away])


async def test_health_is_degraded_when_people_cannot_sign_in(fresh: World) -> None:
    await _all_healthy(fresh, auth=None)

    answer = await fresh.call("GET", "/api/health", token=None)

    assert (answer.status, answer.json["status"]) == (200, "degraded")


async def test_health_tells_a_lost_database_from_a_lost_service(fresh: World) -> None:
    refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message="the database is away")
    await _all_healthy(fresh, incidents=refusal)

    answer = await fresh.call("GET", "/api/health", token=None)

    assert (answer.status, answer.json["services"]["database"]) == (503, "unhealthy")


async def test_many_looks_at_health_are_one(fresh: World) -> None:
    await _all_healthy(fresh)

    await asyncio.gather(*(fresh.call("GET", "/api/health", token=None) for _ in range(20)))

    assert len(fresh.stubs.asked["incidents.health"]) == 1


async def test_ready_lists_every_service_and_is_a_503_while_one_is_away(fresh: World) -> None:
    await _all_healthy(fresh, oncall=None)

    answer = await fresh.call("GET", "/api/health/ready", token=None)

    assert (answer.status, answer.json["status"]) == (503, "degraded")
    assert answer.json["services"] == dict.fromkeys(SERVICES, "healthy") | {"oncall": "away"}
    assert [trouble["culprit"] for trouble in answer.json["troubles"]] == ["oncall"]


async def test_ready_is_a_503_while_every_service_is_away(fresh: World) -> None:
    answer = await fresh.call("GET", "/api/health/ready", token=None)

    assert (answer.status, answer.json["status"]) == (503, "unavailable")
    assert answer.json["services"] == dict.fromkeys(SERVICES, "away")


async def test_a_service_that_hangs_is_told_from_one_that_is_away(fresh: World) -> None:
    await _all_healthy(fresh, oncall=None)
    await fresh.stubs.answer_raw("oncall.health", None)

    answer = await fresh.call("GET", "/api/health/ready", token=None)

    assert answer.json["services"] == dict.fromkeys(SERVICES, "healthy") | {"oncall": "hanging"}


async def test_live_asks_nobody(pager: World) -> None:
    answer = await pager.call("GET", "/api/v1/health/live", token=None)

    assert (answer.status, answer.json) == (200, {"status": "ok"})


async def test_the_documentation_is_served_with_a_policy_that_allows_no_inline_script(pager: World) -> None:
    page = await pager.call("GET", "/api/docs", token=None)
    start = await pager.call("GET", "/api/docs/assets/start.js", token=None)
    document = await pager.call("GET", "/api/docs-json", token=None)

    assert (page.status, start.status, document.status) == (200, 200, 200)
    assert b"<script>" not in page.raw
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert document.json == described()


@pytest.mark.parametrize("name", ["..%2Fcore.py", "core.py", "", "%00"])
async def test_the_documentation_serves_nothing_but_its_assets(pager: World, name: str) -> None:
    assert (await pager.call("GET", f"/api/docs/assets/{name}", token=None)).status in (400, 404)


def test_the_document_has_stable_unique_ids_and_no_422() -> None:
    document = described()
    operations = [operation for verbs in document["paths"].values() for operation in verbs.values()]
    ids = [operation["operationId"] for operation in operations]

    assert len(set(ids)) == len(ids)
    assert all("422" not in operation["responses"] for operation in operations)
    assert "HTTPValidationError" not in document["components"]["schemas"]
    login = document["paths"]["/api/v1/auth/login"]["post"]
    assert "security" not in login
    assert login["requestBody"]["content"]["application/json"]["examples"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("cors_origins", "*"), ("cors_origins", "pager.example"), ("public_url", "pager"), ("port", -1)],
)
def test_a_bad_setting_is_named(setting: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"PAGER_{setting.upper()}"):
        Settings.load(nats_url="nats://127.0.0.1:4222", **{setting: value})


async def test_a_taken_port_is_named(pager: World) -> None:
    port = int(pager.gateway.url.rsplit(":", 1)[1])

    with pytest.raises(SettingsError, match=f"PAGER_PORT: cannot listen on 127.0.0.1:{port}"):
        await Gateway(Settings.load(nats_url="nats://127.0.0.1:1", port=port)).start()
