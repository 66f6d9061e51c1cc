"""Access tokens, and what travels along with a request."""

from __future__ import annotations

import base64

import pytest

from libs.contracts.subjects import Header
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World

INCIDENT = f"/api/v1/incidents/{v.ID}"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _segment(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


STRANGE = [
    "x",
    "a.b.c",
    "..",
    ".".join((_segment(b"[]"), _segment(b"{}"), "x")),
    ".".join((_segment(b"1"), _segment(b"1"), "1")),
    ".".join((_segment(b"null"), "", "")),
    ".".join((_segment(b'{"alg":"none"}'), _segment(b"{}"), "")),
    ".".join((_segment(b'{"alg":"HS256","kid":"one"}'), _segment(b"{}"), "eA")),
    ".".join((_segment(b'{"alg":["RS256"],"kid":{}}'), _segment(b"{}"), "eA")),
    ".".join((_segment(b'{"alg":"RS256","kid":"two"}'), _segment(b"{}"), "eA")),
    ".".join((_segment(bytes(range(128, 200))), "x", "y")),
    "x" * 5000,
]


@pytest.mark.parametrize("token", STRANGE)
async def test_a_strange_token_is_a_401(pager: World, token: str) -> None:
    answer = await pager.call("GET", INCIDENT, token=token)

    assert (answer.status, answer.error["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert token not in answer.raw.decode() or len(token) < 5


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer \xe4"])
async def test_no_token_is_a_401(pager: World, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await pager.call("GET", INCIDENT, token=None, headers=headers)

    assert (answer.status, answer.error["message"]) == (401, "A valid access token is needed.")


async def test_a_token_that_begins_later_is_a_503_which_no_phone_signs_out_for(pager: World) -> None:
    """Auth's clock is ahead of ours."""
    token = pager.token()
    pager.clock.advance(minutes=-2)
    answer = await pager.call("GET", "/api/v1/incidents", token=token)
    assert (answer.status, answer.error["code"], answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "60")
    assert "clocks" in answer.error["message"]


async def test_a_tampered_token_is_a_401(pager: World) -> None:
    head, _claims, signature = pager.token().split(".")

    answer = await pager.call("GET", INCIDENT, token=f"{head}.{_segment(b'{}')}.{signature}")

    assert answer.status == 401


async def test_an_expired_token_is_a_401_that_says_so(pager: World) -> None:
    answer = await pager.call("GET", INCIDENT, token=pager.token(minutes=-1))

    assert (answer.status, answer.error["message"]) == (401, "the access token has expired")


async def test_the_token_is_checked_before_anything_else_is_looked_at(pager: World) -> None:
    answer = await pager.call("POST", "/api/v1/incidents?nonsense=1", raw=b"{", token=None)

    assert answer.status == 401


async def test_the_scheme_may_be_written_in_any_case(pager: World) -> None:
    await pager.stubs.answer("incidents.get", v.INCIDENT)

    answer = await pager.call("GET", INCIDENT, token=None, headers={"Authorization": f"bEARER {pager.token()}"})

    assert answer.status == 200


async def test_token_trace_and_idempotency_key_travel_along(pager: World) -> None:
    await pager.stubs.answer("incidents.create", v.INCIDENT)
    token = pager.token()

    await pager.call(
        "POST",
        "/api/v1/incidents",
        {"title": "x"},
        token=token,
        headers={"traceparent": TRACE, "Idempotency-Key": "once"},
    )

    headers = pager.stubs.asked["incidents.create"][-1].headers
    assert headers[Header.TOKEN] == token
    assert headers[Header.TRACEPARENT] == TRACE
    assert headers[Header.IDEMPOTENCY_KEY] == "once"


@pytest.mark.parametrize("given", [None, "", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", "ff" + TRACE[2:]])
async def test_a_request_without_a_usable_trace_starts_one(pager: World, given: str | None) -> None:
    await pager.stubs.answer("incidents.get", v.INCIDENT)

    await pager.call("GET", INCIDENT, headers={} if given is None else {"traceparent": given})

    traceparent = pager.stubs.asked["incidents.get"][-1].headers[Header.TRACEPARENT]
    assert len(traceparent) == len(TRACE)
    assert traceparent != given


@pytest.mark.parametrize("key", ["", "x" * 256, "\xe4"])
async def test_an_unusable_idempotency_key_is_a_400(pager: World, key: str) -> None:
    answer = await pager.call("POST", "/api/v1/incidents", {"title": "x"}, headers={"Idempotency-Key": key})

    assert (answer.status, answer.error["details"]["field"]) == (400, "Idempotency-Key")


async def test_no_idempotency_key_travels_to_auth(pager: World) -> None:
    await pager.stubs.answer("auth.logout")

    await pager.call("POST", "/api/v1/auth/logout", {"deviceId": "d"}, headers={"Idempotency-Key": "once"})

    assert Header.IDEMPOTENCY_KEY not in pager.stubs.asked["auth.logout"][-1].headers


async def test_the_public_keys_can_be_read_by_anybody(pager: World) -> None:
    answer = await pager.call("GET", "/.well-known/jwks.json", token=None)

    assert answer.status == 200
    assert [key["kid"] for key in answer.json["keys"]] == ["one"]
    assert all("d" not in key for key in answer.json["keys"])


async def test_a_request_is_named_by_the_trace_that_its_events_carry(pager: World) -> None:
    await pager.stubs.answer("incidents.get", v.INCIDENT)
    for headers in ({}, {"traceparent": TRACE}):
        answer = await pager.call("GET", INCIDENT, headers=headers)
        caused = pager.stubs.asked["incidents.get"][-1].headers[Header.TRACEPARENT]
        assert caused.split("-")[1] == answer.headers["X-Request-ID"]
