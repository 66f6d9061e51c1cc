"""Versions of the API by path, Accept and X-API-Version; and what is said of one that will end."""

from __future__ import annotations

import string
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import Headers

from libs.chassis.testing.examples import examples
from services.gateway import versions
from services.gateway.envelope import Problem
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World, world
from services.gateway.versions import Deprecated, Versions

pytestmark = pytest.mark.servers

_TEAM = "/teams/7c9e6679-7425-40de-944b-e07fc1f90ae7"
_V1 = "application/vnd.pager.v1+json"
_ENDS = Deprecated(datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC), "https://pager.example/v2")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/api/v1", {}),
        ("/api", {}),
        ("/api", {"Accept": _V1}),
        ("/api", {"X-API-Version": "1"}),
        ("/api", {"X-API-Version": "v1", "Accept": _V1}),
        ("/api/v1", {"X-API-Version": "V1"}),
        ("/api", {"Accept": f"application/vnd.pager.v9+json, {_V1};q=0.5"}),
        ("/api", {"Accept": "application/vnd.pager.v9+json, application/json;q=0.5"}),
        ("/api", {"Accept": "text/html, */*;q=0.1"}),
    ],
)
async def test_one_resource_is_under_its_version_however_that_is_said(
    pager: World, path: str, headers: dict[str, str]
) -> None:
    await pager.stubs.answer("auth.team", v.TEAM)
    answer = await pager.call("GET", path + _TEAM, headers=headers)
    assert (answer.status, answer.headers["X-API-Version"]) == (200, "1")


async def test_a_browsers_cookie_is_kept_and_shown_under_the_path_that_it_is_sent_to_alone(pager: World) -> None:
    await pager.stubs.answer("auth.login", v.SIGNED_IN)
    await pager.stubs.answer("auth.refresh", v.TOKENS)
    body = {"email": "jo@company.com", "password": "secret", "deviceId": "browser", "platform": "web"}
    kept = {"Origin": pager.gateway.url, "Cookie": "__Secure-pager-refresh=a"}
    refused = await pager.call("POST", "/api/auth/login", body, token=None, headers=kept)
    assert (refused.status, refused.error["details"]["field"]) == (400, "platform")
    assert "Set-Cookie" not in refused.headers
    mine = {"deviceId": "browser"}
    assert (await pager.call("POST", "/api/auth/refresh", mine, token=None, headers=kept)).status == 401
    for path, asked in (("login", body), ("refresh", mine)):
        answer = await pager.call("POST", f"/api/v1/auth/{path}", asked, token=None, headers=kept)
        assert answer.status == 200, answer.raw
        assert "Set-Cookie" in answer.headers


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"X-API-Version": "2"}, "X-API-Version"),
        ({"X-API-Version": ""}, "X-API-Version"),
        ({"X-API-Version": "1.0"}, "X-API-Version"),
        ({"Accept": "application/vnd.pager.v2+json"}, "Accept"),
        ({"Accept": f"{_V1};q=0"}, "Accept"),
        ({"Accept": "application/xml"}, "Accept"),
        ({"Accept": "text/csv;q=1, application/json;q=0.000"}, "Accept"),
    ],
)
async def test_what_there_is_not_is_a_406_that_asks_nobody(pager: World, headers: dict[str, str], field: str) -> None:
    for path in ("/api/v1", "/api"):
        answer = await pager.call("GET", path + _TEAM, headers=headers)
        assert (answer.status, answer.error["code"]) == (406, "NOT_ACCEPTABLE")
        assert answer.error["details"]["field"] == field
    assert pager.stubs.asked == {}


async def test_a_version_that_was_never_is_no_path(pager: World) -> None:
    answer = await pager.call("GET", f"/api/v9{_TEAM}")
    assert (answer.status, answer.error["code"]) == (404, "NOT_FOUND")


async def test_what_every_version_shares_is_asked_for_no_version(pager: World) -> None:
    assert (await pager.call("GET", "/api/health/live", headers={"X-API-Version": "9"})).status == 200


async def test_whatever_will_end_says_so_with_every_answer(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Sunset" not in (await pager.call("GET", f"/api/v1{_TEAM}", token=None)).headers
    monkeypatch.setattr(versions, "VERSIONS", {1: _ENDS})
    async with world() as later:
        answer = await later.call("GET", f"/api{_TEAM}", token=None)
    said = {name: answer.headers[name] for name in _ENDS.headers}
    assert answer.status == 401
    assert said == {
        "Deprecation": "@1767225600",
        "Sunset": "Sat, 01 Jan 2028 00:00:00 GMT",
        "Link": '<https://pager.example/v2>; rel="deprecation"; type="text/html"',
    }


_TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=80)
_ENTRIES = st.sampled_from(
    ["*/*", "application/json", _V1, "application/vnd.pager.v2+json", "text/html", "", "q=0", ";q=0", "application/*"]
)
_ACCEPTS = st.one_of(_TEXTS, st.lists(st.one_of(_ENTRIES, _TEXTS), max_size=5).map(", ".join))
_NUMBERS = st.one_of(_TEXTS, st.sampled_from(["1", "v1", "V1", " 1 ", "2", "v2", "01", "٣"]), st.text(string.digits))


@settings(max_examples=examples(400))
@given(path=st.sampled_from([None, 1, 2, 3]), accept=_ACCEPTS, given_version=st.none() | _NUMBERS)
def test_whatever_is_asked_for_is_a_version_that_there_is_or_a_406(
    path: int | None, accept: str, given_version: str | None
) -> None:
    raw = [(b"accept", accept.encode("latin-1"))]
    if given_version is not None:
        raw.append((b"x-api-version", given_version.encode("latin-1", "ignore")))
    asked = Versions(_nobody, {1: None, 2: None})
    version = None
    with suppress(Problem):  # a 406: anything else would be raised on
        version = asked._asked(path, Headers(raw=raw))
    if version is None:
        return
    assert version in (1, 2)
    assert path not in (1, 2) or version == path
    assert given_version is None or version == int(given_version.strip().lower().removeprefix("v"))


async def _nobody(*_: object) -> None:
    raise AssertionError
