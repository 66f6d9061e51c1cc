"""Everything that can be wrong with a request, and everything that can be wrong behind the gateway."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.chassis.testing.deadline import in_time
from libs.contracts.requests import ErrorKind, Refusal
from services.gateway import forwarding
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World

INCIDENTS = "/api/v1/incidents"
INCIDENT = f"{INCIDENTS}/{v.ID}"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (ErrorKind.VALIDATION, 400, "VALIDATION_ERROR"),
        (ErrorKind.UNAUTHENTICATED, 401, "UNAUTHENTICATED"),
        (ErrorKind.FORBIDDEN, 403, "FORBIDDEN"),
        (ErrorKind.NOT_FOUND, 404, "NOT_FOUND"),
        (ErrorKind.CONFLICT, 409, "CONFLICT"),
        (ErrorKind.RATE_LIMITED, 429, "RATE_LIMITED"),
        (ErrorKind.UNAVAILABLE, 503, "UNAVAILABLE"),
        (ErrorKind.INTERNAL, 500, "INTERNAL"),
    ],
)
async def test_a_refusal_becomes_its_status_and_code(pager: World, kind: ErrorKind, status: int, code: str) -> None:
    await pager.stubs.answer("incidents.get", refusal=Refusal(kind=kind, message="no"))

    answer = await pager.call("GET", INCIDENT)

    assert answer.status == status
    assert answer.error == {"code": code, "message": "no"}


async def test_a_refused_field_is_named(pager: World) -> None:
    refusal = Refusal(kind=ErrorKind.VALIDATION, message="nobody has this id", field="assignedTo")
    await pager.stubs.answer("incidents.create", refusal=refusal)

    answer = await pager.call("POST", INCIDENTS, {"title": "x"})

    assert answer.error == {
        "code": "VALIDATION_ERROR",
        "message": "assignedTo: nobody has this id",
        "details": {"field": "assignedTo", "reason": "nobody has this id"},
    }


async def test_a_rate_limit_says_when_to_come_back(pager: World) -> None:
    refusal = Refusal(kind=ErrorKind.RATE_LIMITED, message="too many attempts", retry_after=12.2)
    await pager.stubs.answer("auth.login", refusal=refusal)

    answer = await pager.call(
        "POST", "/api/v1/auth/login", {"email": "a@b.c", "password": "x", "deviceId": "d"}, token=None
    )

    assert (answer.status, answer.headers["Retry-After"]) == (429, "13")


async def test_a_service_that_is_not_there_is_a_503_with_retry_after(pager: World) -> None:
    answer = await pager.call("GET", INCIDENT)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    away = {"code": "UNAVAILABLE", "message": "incidents is away", "details": {"services": ["incidents"]}}
    assert answer.error == away


async def test_a_service_that_does_not_answer_is_a_503_with_retry_after(
    pager: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "QUERY_TIMEOUT", 0.05)
    await pager.stubs.answer_raw("incidents.get", None)

    answer = await pager.call("GET", INCIDENT)

    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.error["message"] == "incidents did not answer in time"


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b'{"ok": false}', b'{"ok": "perhaps"}'])
async def test_a_garbled_answer_is_a_500_that_tells_nothing(pager: World, raw: bytes) -> None:
    await pager.stubs.answer_raw("incidents.get", raw)

    answer = await pager.call("GET", INCIDENT)

    assert answer.status == 500
    assert answer.error == {"code": "INTERNAL", "message": "internal error"}


async def test_an_answer_of_another_shape_is_a_500_that_tells_nothing(pager: World) -> None:
    await pager.stubs.answer("incidents.list", {"secret": 1})

    with capture_logs() as lines:
        answer = await pager.call("GET", INCIDENTS)

    assert answer.status == 500
    assert "request failed" in [line["event"] for line in lines]
    assert answer.error == {"code": "INTERNAL", "message": "internal error"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not valid JSON"),
        (b"", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"[]", "must be a JSON object"),
        (b'"text"', "must be a JSON object"),
        (b'{"title": "x"} trailing', "not valid JSON"),
        (b'{"title": "\xff\xfe"}', "not valid JSON"),
        (b'{"title": "\\ud800"}', "half of a surrogate pair"),
        (b'{"title": "x", "metadata": {"\\udc00": 1}}', "half of a surrogate pair"),
        (b'{"title": "x", "title": "y"}', "'title' is given twice"),
        (b'{"title": "x", "metadata": {"a": [{"b": 1, "b": 1}]}}', "'b' is given twice"),
        (b'{"title": "x", "metadata": {"a": 1e400}}', "not valid JSON"),
        (b'{"title": "x", "metadata": {"a": ' + b"9" * 1001 + b"}}", "not valid JSON"),
        (b'{"title": "x", "metadata": ' + b'{"a":' * 31 + b"{}" + b"}" * 32, "nested deeper than 32 levels"),
        (b'{"title": "a\\u0000b"}', "U+0000"),
        (b'{"title": "x", "metadata": {"a": NaN}}', "not valid JSON"),
        (b'{"title": "x", "metadata": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "nested deeper than 32 levels"),
    ],
)
async def test_a_body_that_is_no_json_object_is_a_400_that_says_so(pager: World, raw: bytes, reason: str) -> None:
    answer = await pager.call("POST", INCIDENTS, raw=raw)

    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")
    assert answer.error["details"]["field"] == "body"
    assert reason in answer.error["details"]["reason"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (INCIDENTS, {}, "title"),
        (INCIDENTS, {"title": 7}, "title"),
        (INCIDENTS, {"title": ""}, "title"),
        (INCIDENTS, {"title": "x" * 256}, "title"),
        (INCIDENTS, {"title": "x", "priority": "worst"}, "priority"),
        (INCIDENTS, {"title": "x", "assignedTo": "me"}, "assignedTo"),
        (INCIDENTS, {"title": "x", "escalationTimeoutMinutes": 0}, "escalationTimeoutMinutes"),
        (INCIDENTS, {"title": "x", "titel": "y"}, "titel"),
        (f"{INCIDENT}/acknowledge", {"notes": 5}, "notes"),
        (f"{INCIDENTS}/seven/acknowledge", {}, "id"),
        ("/api/v1/on-call/schedules", {"name": "x", "layers": [{"participants": [1]}]}, "layers.0.start"),
        ("/api/v1/devices", {"deviceId": "d", "platform": "fax", "pushToken": "t"}, "platform"),
    ],
)
async def test_a_wrong_field_is_a_400_that_names_it_as_the_caller_wrote_it(
    pager: World, path: str, body: Any, field: str
) -> None:
    answer = await pager.call("POST", path, body)

    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")
    assert answer.error["details"]["field"] == field
    assert answer.error["message"] == f"{field}: {answer.error['details']['reason']}"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=asleep", "status"),
        ("priority=", "priority"),
        ("assigned_to=you", "assigned_to"),
        ("assignedTo=", "assignedTo"),
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "to"),
        ("page=0", "page"),
        ("page=99999999999999999999", "page"),
        ("page=501", "page"),
        ("page=101&limit=100", "page"),
        ("cursor=" + "x" * 4097, "cursor"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("prioriti=high", "prioriti"),
        ("status=created%00", "status"),
    ],
)
async def test_a_wrong_query_parameter_is_a_400_that_names_it(pager: World, query: str, field: str) -> None:
    answer = await pager.call("GET", f"{INCIDENTS}?{query}")

    assert (answer.status, answer.error["details"]["field"]) == (400, field)


async def test_an_id_that_is_none_is_a_400(pager: World) -> None:
    answer = await pager.call("GET", f"{INCIDENTS}/seven")

    assert (answer.status, answer.error["details"]["field"]) == (400, "id")


async def test_a_packed_body_is_a_415(pager: World) -> None:
    body = gzip.compress(b'{"title": "x"}')
    answer = await pager.call("POST", INCIDENTS, raw=body, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.error["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
async def test_another_content_type_is_a_415(pager: World, content_type: str) -> None:
    answer = await pager.call("POST", INCIDENTS, {"title": "x"}, headers={"Content-Type": content_type})

    assert (answer.status, answer.error["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/vnd.pager.v1+json"])
async def test_json_under_another_name_is_read(pager: World, content_type: str) -> None:
    await pager.stubs.answer("incidents.create", v.INCIDENT)

    answer = await pager.call("POST", INCIDENTS, {"title": "x"}, headers={"Content-Type": content_type})

    assert answer.status == 201


@pytest.mark.parametrize("mebibytes", [1, 10, 31])
async def test_a_body_over_one_mebibyte_is_a_413(pager: World, mebibytes: int) -> None:
    """Also for whoever sends all of it before they look for an answer: most clients do."""
    answer = await pager.call("POST", INCIDENTS, {"title": "x", "metadata": {"a": "x" * mebibytes * 1024 * 1024}})

    assert (answer.status, answer.error["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_a_body_without_a_length_is_measured_while_it_is_read(pager: World) -> None:
    async def endless() -> Any:
        for _ in range(64):
            yield b" " * 64 * 1024

    headers = {"Authorization": f"Bearer {pager.token()}", "Content-Type": "application/json"}
    async with pager.http.post(pager.gateway.url + INCIDENTS, data=endless(), headers=headers) as response:
        assert response.status == 413


async def test_metadata_that_no_event_could_carry_are_refused_by_name(pager: World) -> None:
    answer = await pager.call("POST", INCIDENTS, {"title": "x", "metadata": {"a": "x" * (1024 * 1024 - 100)}})

    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")
    assert answer.error["details"]["field"] == "metadata"


@pytest.mark.parametrize(
    "path", ["/no", "/api", "/api/v1", "/api/v1/nothing", "/api/v1/incidents/", "/api/v2/incidents"]
)
async def test_an_unknown_path_is_a_404(pager: World, path: str) -> None:
    answer = await pager.call("GET", path, token=None)

    assert answer.status == 404
    assert answer.error == {"code": "NOT_FOUND", "message": "no such path"}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", INCIDENTS, "GET, HEAD, POST"),
        ("PUT", INCIDENT, "GET, HEAD, PATCH"),
        ("GET", "/api/v1/auth/login", "POST"),
        ("POST", f"/api/v1/on-call/schedules/{v.ID}", "GET, HEAD, PATCH, DELETE"),
        ("OPTIONS", INCIDENTS, "GET, HEAD, POST"),
        ("POST", "/api/health", "GET, HEAD"),
        # Not what `{id}` could do.
        ("DELETE", "/api/v1/users/me", "GET, HEAD, PATCH"),
        ("GET", "/api/v1/users/me/email/verification", "POST"),
        ("GET", "/api/v1/incidents/bulk", "POST"),
        ("PATCH", "/api/incidents/bulk", "POST"),
    ],
)
async def test_a_wrong_method_is_a_405_that_lists_the_right_ones(
    pager: World, method: str, path: str, allow: str
) -> None:
    answer = await pager.call(method, path, token=None)

    assert (answer.status, answer.error["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == allow


async def test_a_caller_who_hangs_up_does_not_cancel_a_command(pager: World) -> None:
    """The service holds its answer back until the caller has gone; the command is still under way then."""
    go = asyncio.Event()
    await pager.stubs.answer_raw("incidents.acknowledge", b'{"ok": true, "data": {}}', when=go)
    call = asyncio.create_task(pager.call("POST", f"{INCIDENT}/acknowledge", {}))
    async with in_time():
        while "incidents.acknowledge" not in pager.stubs.asked:
            await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert pager.gateway._forwarder._under_way

    go.set()

    async with in_time():
        await pager.stubs.answered.wait()
        await pager.gateway._forwarder.drain()
    assert json.loads(json.dumps(pager.stubs.body("incidents.acknowledge"))) == {"id": str(v.ID)}
