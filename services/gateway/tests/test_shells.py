"""The app in its shell on a phone calls from another origin: all that it needs is let through and shown to it."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from libs.contracts.requests import ErrorKind, Refusal
from services.gateway.limits import SIZES, Limit
from services.gateway.tests import views as v
from services.gateway.tests.stubs import Answer, World
from services.gateway.tests.test_routes import CREATE, INCIDENT, LOGIN
from tests.device import DeviceKey

pytestmark = [pytest.mark.servers, pytest.mark.parametrize("origin", ["capacitor://localhost", "https://localhost"])]
SAFE = {"cache-control", "content-language", "content-length", "content-type", "expires", "last-modified", "pragma"}
"""What a script may read in any case (Fetch, CORS-safelisted response-header name)."""


async def _as_shell(pager: World, origin: str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    """As a WebView does it: it asks first, sends what it may, and shows the script what it is told to."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    token = named.pop("token", None)
    sent = {*map(str.lower, named), *(["authorization"] if token is not None else []), "content-type"}
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(sorted(sent)),
    }
    may = await pager.call("OPTIONS", f"/api/v1{path}", token=None, headers=asks)
    assert may.status == 200, may.raw
    assert may.headers["Access-Control-Allow-Origin"] == origin
    assert method in may.headers["Access-Control-Allow-Methods"]
    allowed = {name.strip().lower() for name in may.headers["Access-Control-Allow-Headers"].split(",")}
    assert sent <= allowed
    answer = await pager.call(method, f"/api/v1{path}", body, token=token, headers=named | {"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Access-Control-Allow-Credentials" not in answer.headers
    shown = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")} | SAFE
    return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items() if k.lower() in shown}, answer.raw)


async def test_it_signs_in_and_goes_on_with_a_proof(pager: World, origin: str) -> None:
    await pager.stubs.answer("auth.login", v.SIGNED_IN)
    await pager.stubs.answer("auth.refresh", v.TOKENS)
    key = DeviceKey()
    body = LOGIN | {"platform": "ios", "deviceKey": key.public}
    signed_in = await _as_shell(pager, origin, "POST", "/auth/login", body, Pager_Client="app")
    assert signed_in.status == 200
    refresh = signed_in.json["data"]["tokens"]["refreshToken"]
    again = {"deviceId": "phone", "proof": key.proof(refresh)}
    went_on = await _as_shell(pager, origin, "POST", "/auth/refresh", again, token=refresh)
    assert (went_on.status, went_on.json["data"]["tokens"]["accessToken"]) == (200, v.TOKENS["accessToken"])
    assert pager.stubs.body("auth.refresh")["proof"] == again["proof"]
    for answer in (signed_in, went_on):
        assert "set-cookie" not in answer.headers
        assert parsedate_to_datetime(answer.headers["date"]).tzinfo is not None, "the phone's clock is corrected by it"


async def test_it_changes_what_it_has_read_and_hears_what_is_there_now(pager: World, origin: str) -> None:
    token = pager.token()
    await pager.stubs.answer("incidents.get", v.INCIDENT)
    read = await _as_shell(pager, origin, "GET", INCIDENT, token=token)
    tag = read.headers["etag"]
    seen = await _as_shell(pager, origin, "GET", INCIDENT, token=token, If_None_Match=tag)
    assert (seen.status, seen.headers["etag"]) == (304, tag)
    gone = Refusal(kind=ErrorKind.PRECONDITION_FAILED, message="it has changed", details={"etag": '"9"'})
    await pager.stubs.answer("incidents.edit", refusal=gone)
    named = {"If_Match": tag, "Idempotency_Key": "once", "X_API_Version": "1", "traceparent": "", "X_Request_Id": "one"}
    refused = await _as_shell(pager, origin, "PATCH", INCIDENT, {"priority": "low"}, token=token, **named)
    assert (refused.status, refused.headers["etag"], refused.headers["x-request-id"]) == (412, '"9"', "one")


async def test_it_learns_when_to_come_back(pager: World, origin: str) -> None:
    token = pager.token()
    most = SIZES[Limit.INCIDENTS].most
    await pager.stubs.answer("incidents.create", v.INCIDENT)
    first = await _as_shell(pager, origin, "POST", "/incidents", CREATE, token=token)
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == (str(most), str(most - 1))
    assert int(first.headers["x-ratelimit-reset"]) > 0
    for bucket in pager.gateway.front.limits._buckets[Limit.INCIDENTS].values():
        bucket.spent = most
    refused = await _as_shell(pager, origin, "POST", "/incidents", CREATE, token=token)
    assert (refused.status, int(refused.headers["retry-after"]) >= 1) == (429, True)
    away = await _as_shell(pager, origin, "GET", "/teams", token=token)
    assert (away.status, int(away.headers["retry-after"]) >= 1) == (503, True)


async def test_its_stream_is_let_in(pager: World, origin: str) -> None:
    url = pager.gateway.url.replace("http", "ws", 1) + "/api/v1/stream"
    async with pager.http.ws_connect(url, headers={"Origin": origin}) as stream:
        assert not stream.closed
