"""Signing in, tokens that end, and sessions that are over."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from pager_client import NotAnswered, Unauthenticated
from pager_client.errors import SecondFactorRequired
from tests.client.gateway import Gateway, refused, said, tokens

OVER = refused(401, "UNAUTHENTICATED", "the access token is not valid")


def _bearers(gateway: Gateway) -> list[tuple[str, str | None]]:
    return [(one.url.path.rpartition("/")[2], one.headers.get("Authorization")) for one in gateway.asked]


def test_whoever_signed_in_is_shown_to_be_so_and_renewed_before_the_token_ends() -> None:
    gateway = Gateway([said(tokens("a1", "r1")), said({}), said(tokens("a2", "r2")), said({})])
    pager = gateway.pager(api_key=None)
    pager.sign_in("ana@example.org", "secret", "laptop", totp="123456")
    assert gateway.body() == {
        "email": "ana@example.org",
        "password": "secret",
        "deviceId": "laptop",
        "totp": "123456",
    }
    pager.get_me()
    gateway.now = 871
    pager.get_me()
    assert _bearers(gateway) == [("login", None), ("me", "Bearer a1"), ("refresh", "Bearer r1"), ("me", "Bearer a2")]
    assert gateway.body(2) == {"deviceId": "laptop"}


def test_a_token_that_was_taken_away_is_renewed_once() -> None:
    gateway = Gateway([said(tokens("a1", "r1")), OVER, said(tokens("a2", "r2")), said({}), OVER])
    pager = gateway.pager(api_key=None)
    pager.sign_in("ana@example.org", "secret")
    pager.get_me()
    assert [bearer for _, bearer in _bearers(gateway)][1:] == ["Bearer a1", "Bearer r1", "Bearer a2"]
    gateway.answers = [OVER]
    with pytest.raises(Unauthenticated):
        pager.get_me()
    with pytest.raises(Unauthenticated):
        pager.get_me()
    assert _bearers(gateway)[-1] == ("me", None), "a session that is over is not tried again"


def test_a_refresh_whose_answer_was_lost_is_asked_for_again() -> None:
    gateway = Gateway([said(tokens("a1", "r1")), httpx.ReadError("gone"), said(tokens("a2", "r2")), said({})])
    pager = gateway.pager(api_key=None)
    pager.sign_in("ana@example.org", "secret")
    gateway.now = 900
    pager.get_me()
    assert [name for name, _ in _bearers(gateway)] == ["login", "refresh", "refresh", "me"]


@pytest.mark.parametrize(
    "answer",
    [
        refused(401, "UNAUTHENTICATED", "invalid credentials"),
        refused(429, "RATE_LIMITED", **{"Retry-After": "1"}),
        refused(503, "UNAVAILABLE"),
        httpx.ReadError("gone"),
    ],
)
def test_a_password_is_tried_once(answer: Any) -> None:
    gateway = Gateway([answer])
    with pytest.raises(Exception, match=r"UNAUTHENTICATED|RATE_LIMITED|UNAVAILABLE|gone"):
        gateway.pager(api_key=None).sign_in("ana@example.org", "secret")
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("data", [{}, {"tokens": 1}, {"tokens": {"expiresIn": "x"}}, tokens("a\r\nX: y", "r")])
def test_a_sign_in_without_tokens_is_none(data: Any) -> None:
    with pytest.raises(NotAnswered, match="without tokens"):
        Gateway([said(data)]).pager(api_key=None).sign_in("ana@example.org", "secret")


def test_a_second_factor_is_asked_for_by_its_name() -> None:
    with pytest.raises(SecondFactorRequired):
        Gateway([refused(401, "SECOND_FACTOR_REQUIRED")]).pager(api_key=None).sign_in("a@example.org", "secret")


def test_a_key_that_was_revoked_is_not_renewed() -> None:
    gateway = Gateway([OVER])
    with pytest.raises(Unauthenticated):
        gateway.pager().list_incidents()
    assert len(gateway.asked) == 1


def test_whoever_signs_out_is_nobody() -> None:
    gateway = Gateway([said(tokens("a1", "r1")), said({}), said({})])
    pager = gateway.pager(api_key=None)
    pager.sign_out()
    assert gateway.asked == []
    pager.sign_in("ana@example.org", "secret", "laptop")
    pager.sign_out()
    assert gateway.body() == {"deviceId": "laptop"}
    pager.get_health()
    assert _bearers(gateway)[1:] == [("logout", "Bearer a1"), ("health", None)]


def test_another_person_has_the_same_connections_and_not_the_same_session() -> None:
    gateway = Gateway([said({})])
    pager = gateway.pager()
    pager.with_token("a9").get_me()
    pager.get_me()
    assert [bearer for _, bearer in _bearers(gateway)] == ["Bearer a9", "Bearer pgr_key"]


async def test_many_calls_at_once_renew_once() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        match request.url.path.rpartition("/")[2]:
            case "login":
                return said(tokens("a1", "r1"))
            case "refresh":
                assert request.headers["Authorization"] == "Bearer r1"
                return said(tokens("a2", "r2"))
        return said({}) if request.headers["Authorization"] == "Bearer a2" else OVER

    gateway = Gateway([answer])
    pager = gateway.async_pager(api_key=None)
    await pager.sign_in("ana@example.org", "secret")
    await asyncio.gather(*(pager.get_me() for _ in range(10)))
    assert [name for name, _ in _bearers(gateway)].count("refresh") == 1


async def test_a_network_that_is_gone_ends_no_session() -> None:
    gateway = Gateway([said(tokens("a1", "r1")), httpx.ReadError("gone")])
    pager = gateway.async_pager(api_key=None, retries=0)
    await pager.sign_in("ana@example.org", "secret")
    gateway.now = 900
    with pytest.raises(NotAnswered):
        await pager.get_me()
    gateway.answers = [said(tokens("a2", "r2")), said({})]
    await pager.get_me()
