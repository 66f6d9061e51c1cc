"""What a call sends, what it makes of the answer, and what it sends again."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from pager_client import (
    AsyncPager,
    Conflict,
    NotAnswered,
    Pager,
    PreconditionFailed,
    RateLimited,
    Refused,
    Unavailable,
    etag,
)
from pager_client import http as http_module
from tests.client.gateway import Gateway, refused, said

AWAY = refused(503, "UNAVAILABLE", "incidents is away")
GONE = httpx.ReadError("gone")


def test_a_call_is_sent_as_the_api_wants_it() -> None:
    gateway = Gateway([said({"incidents": []})])
    since = datetime(2026, 11, 30, tzinfo=UTC)
    gateway.pager().list_incidents(
        from_=since, fields=["id", "title"], metadata={"host": "db 1"}, status=None, teamId=UUID(int=1)
    )
    (asked,) = gateway.asked
    assert dict(asked.url.params) == {
        "from": "2026-11-30T00:00:00+00:00",
        "fields": "id,title",
        "metadata.host": "db 1",
        "teamId": str(UUID(int=1)),
    }
    assert asked.headers["Authorization"] == "Bearer pgr_key"
    assert asked.headers["User-Agent"].startswith("python-httpx"), "whoever brings connections names them"


def test_an_id_stays_one_part_of_the_path() -> None:
    gateway = Gateway([said({"device": {}})])
    gateway.pager().get_device("../users/me?x=1#")
    assert gateway.calls == [("GET", "/api/v1/devices/..%2Fusers%2Fme%3Fx%3D1%23")]
    for bad in ("", ".", ".."):
        with pytest.raises(ValueError, match="an id may not be"):
            gateway.pager().get_device(bad)


def test_a_body_that_may_be_left_out_is_left_out() -> None:
    gateway = Gateway([said({"incident": {}})])
    gateway.pager().acknowledge_incident("1")
    assert gateway.asked[-1].content == b""
    gateway.pager().acknowledge_incident("1", notes="on it")
    assert gateway.body() == {"notes": "on it"}


@pytest.mark.parametrize("body", [{"title": float("nan")}, {"title": object()}, {"title": "\ud800"}])
def test_what_json_cannot_say_is_not_sent(body: Any) -> None:
    gateway = Gateway([said({})])
    with pytest.raises((ValueError, TypeError)):
        gateway.pager().create_incident(**body)
    assert gateway.asked == []


@pytest.mark.parametrize("token", ["", "pgr_\r\nX: y", " pgr_x", "pgr_ü"])
def test_a_token_that_would_be_more_than_a_header_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as error:
        Pager("https://pager.example", api_key=token)
    assert not token.strip() or token not in str(error.value)


@pytest.mark.parametrize(
    "url", ["pager.example", "ftp://pager.example", "https://", "https://a:secret@pager.example", "https://p?x=1"]
)
def test_an_address_that_is_none_is_refused_and_shows_no_password(url: str) -> None:
    with pytest.raises(ValueError, match="is no address") as error:
        Pager(url)
    assert "secret" not in str(error.value)


def test_a_pager_shows_no_key() -> None:
    pager = Gateway([AWAY]).pager()
    assert "pgr_key" not in repr(pager) + repr(pager._flow)


def test_a_post_is_sent_again_under_the_same_key() -> None:
    gateway = Gateway([GONE, AWAY, said({"incident": {"id": "1"}}, 201)])
    assert gateway.pager().create_incident(title="db down")["incident"]["id"] == "1"
    keys = gateway.header("Idempotency-Key")
    assert len(keys) == 3
    assert keys[0]
    assert len(set(keys)) == 1
    assert len(gateway.waited) == 2


def test_what_nobody_knows_whether_it_was_done_is_not_done_again() -> None:
    for failure, kind in ((GONE, NotAnswered), (AWAY, Unavailable)):
        gateway = Gateway([failure, said({"team": {}})])
        with pytest.raises(kind):
            gateway.pager().change_team("1", name="x")
        assert len(gateway.asked) == 1


def test_what_was_surely_not_done_is_sent_again() -> None:
    for failure in (httpx.ConnectError("refused"), refused(429, "RATE_LIMITED", **{"Retry-After": "3"})):
        gateway = Gateway([failure, said({"team": {}})])
        gateway.pager().change_team("1", name="x")
        assert len(gateway.asked) == 2
    assert gateway.waited == [3]


def test_a_change_of_a_version_is_sent_again_since_it_is_carried_out_once() -> None:
    gateway = Gateway([GONE, said({"incident": {}})])
    gateway.pager().edit_incident("1", if_match='"7"', priority="low")
    assert gateway.header("If-Match") == ['"7"', '"7"']
    with pytest.raises(NotAnswered):
        Gateway([GONE, said({"incident": {}})]).pager().edit_incident("1", if_match="*", priority="low")


def test_a_wait_that_is_too_long_is_left_to_the_caller() -> None:
    gateway = Gateway([refused(429, "RATE_LIMITED", **{"Retry-After": "60"})])
    with pytest.raises(RateLimited) as error:
        gateway.pager().list_incidents()
    assert (error.value.retry_after, gateway.waited) == (60, [])


def test_it_ends_after_as_many_tries_as_were_wished() -> None:
    gateway = Gateway([AWAY])
    with pytest.raises(Unavailable):
        gateway.pager(retries=3).list_incidents()
    assert len(gateway.asked) == 4


def test_a_refusal_says_all_that_the_api_says() -> None:
    details = {"state": "resolved", "allowed": ["reopen"]}
    gateway = Gateway([refused(409, "CONFLICT", "it is over", details, **{"X-Request-ID": "r1"})])
    with pytest.raises(Conflict) as error:
        gateway.pager().acknowledge_incident("1")
    told = error.value
    assert (told.status, told.code, told.message) == (409, "CONFLICT", "it is over")
    assert (told.details, told.request_id, str(told)) == (details, "r1", "CONFLICT: it is over")


def test_a_code_of_a_newer_pager_is_a_refusal_all_the_same() -> None:
    with pytest.raises(Refused) as error:
        Gateway([refused(418, "TEAPOT")]).pager().list_incidents()
    assert type(error.value) is Refused


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
        httpx.Response(200, html="<h1>sign in to the network</h1>"),
        httpx.Response(200, json=[1]),
        httpx.Response(200, json={"success": True, "error": "x"}, headers={"Content-Type": "text/html"}),
        httpx.Response(200, content=b"[" * 100_000, headers={"Content-Type": "application/json"}),
        httpx.Response(404, content=b"not found"),
        httpx.DecodingError("not gzip"),
    ],
)
def test_what_is_not_pagers_answer_is_no_answer(answer: Any) -> None:
    gateway = Gateway([answer])
    with pytest.raises(NotAnswered):
        gateway.pager(retries=0).list_incidents()
    assert len(gateway.asked) == 1
    assert gateway.asked[0].url.host == "pager.example", "nobody else is shown the key"


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MOST_BYTES", 1000)
    bomb = gzip.compress(b" " * 100_000)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    with pytest.raises(NotAnswered, match="more than 1000 bytes"):
        Gateway([httpx.Response(200, content=bomb, headers=headers)]).pager(retries=0).list_incidents()


def test_an_etag_is_taken_from_what_was_read() -> None:
    gateway = Gateway([said({"incident": {}}, ETag='"7"'), refused(412, "PRECONDITION_FAILED")])
    pager = gateway.pager()
    read = pager.get_incident("1")
    with pytest.raises(PreconditionFailed):
        pager.edit_incident("1", if_match=etag(read), title="x")
    assert gateway.header("If-Match") == [None, '"7"']
    with pytest.raises(ValueError, match="no answer with an ETag"):
        etag(dict(read))


def test_health_is_read_also_when_it_is_bad() -> None:
    gateway = Gateway([httpx.Response(503, json={"status": "unavailable"})])
    assert gateway.pager().get_health()["status"] == "unavailable"
    assert gateway.calls == [("GET", "/api/health")]


def test_numbers_come_as_a_table_too() -> None:
    gateway = Gateway([httpx.Response(200, text="a,b\r\n", headers={"Content-Type": "text/csv; charset=utf-8"})])
    assert gateway.pager().get_analytics_load_csv(from_="2026-11-01") == "a,b\r\n"
    assert gateway.asked[0].url.query == b"from=2026-11-01&format=csv"


PAGES = ({"incidents": [{"id": "1"}], "nextCursor": "c1"}, {"incidents": [{"id": "2"}]})


def test_all_pages_are_walked_one_after_another() -> None:
    gateway = Gateway([said(page) for page in PAGES])
    found = gateway.pager().iter_incidents(page=1, status="created")
    assert next(found)["id"] == "1"
    assert len(gateway.asked) == 1, "the next page is asked for when it is wanted"
    assert [one["id"] for one in found] == ["2"]
    assert gateway.calls[1] == ("GET", "/api/v1/incidents?limit=100&status=created&cursor=c1")


def test_a_list_that_turns_in_a_circle_ends() -> None:
    with pytest.raises(NotAnswered, match="leads nowhere"):
        list(Gateway([said(PAGES[0])]).pager().iter_incidents())


async def _all(found: AsyncIterator[Any]) -> list[Any]:
    return [one async for one in found]


async def test_asyncio_has_the_same() -> None:
    gateway = Gateway([GONE, *(said(page) for page in PAGES), refused(409, "CONFLICT")])
    pager: AsyncPager = gateway.async_pager()
    assert [one["id"] for one in await _all(pager.iter_incidents())] == ["1", "2"]
    with pytest.raises(Conflict):
        await pager.close_incident("1")
    assert (len(gateway.asked), len(gateway.waited)) == (4, 1)
