"""Rate limits: one bucket for each of whoever asks, in all replicas together."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import in_time
from libs.chassis.testing.examples import examples
from libs.contracts.subjects import SPENT
from services.gateway import limits as limits_module
from services.gateway.envelope import Problem
from services.gateway.gossip import Gossip
from services.gateway.limits import KEPT, SIZES, Limit, Limits, Share, Size, of_person, of_stranger
from services.gateway.main import Gateway
from services.gateway.settings import Settings
from services.gateway.tests import views as v
from services.gateway.tests.stubs import USER, World
from services.gateway.tests.test_routes import CREATE, ID, INCIDENT, LOGIN

_ME = of_person(Limit.INCIDENTS, USER)
_FEW = Size(5, 60, "ask five times a minute")


def _let_in(limits: Limits, share: Share, tries: int) -> int:
    done = 0
    for _ in range(tries):
        with suppress(Problem):
            limits.take([share])
            done += 1
    return done


def test_a_hundred_at_once_and_then_as_they_come_back() -> None:
    clock = MovableClock()
    limits = Limits(clock)
    assert limits.take([_ME])["X-RateLimit-Remaining"] == "99"
    assert _let_in(limits, _ME, 200) == 99
    with pytest.raises(Problem) as refused:
        limits.take([_ME])
    headers = refused.value.headers or {}
    assert (headers["Retry-After"], headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("1", "100", "0")
    assert int(headers["X-RateLimit-Reset"]) == int(clock.now().timestamp()) + 60
    clock.advance(seconds=6)
    assert _let_in(limits, _ME, 200) == 10
    clock.advance(minutes=9)
    assert _let_in(limits, _ME, 200) == 100


def test_what_one_bucket_refuses_costs_none_of_the_others() -> None:
    limits = Limits(MovableClock())
    general = of_person(Limit.GENERAL, USER)
    _let_in(limits, _ME, 100)
    for _ in range(50):
        with pytest.raises(Problem):
            limits.take([general, _ME])
    assert limits.take([general])["X-RateLimit-Remaining"] == "999"


def test_a_clock_that_is_set_back_neither_gives_nor_takes() -> None:
    clock = MovableClock()
    limits = Limits(clock)
    assert _let_in(limits, _ME, 50) == 50
    clock.advance(seconds=-3600)
    assert _let_in(limits, _ME, 100) == 50


@pytest.mark.thorough
def test_a_crowd_of_addresses_pushes_out_nobody_who_is_signed_in_and_no_network_of_its_own() -> None:
    limits = Limits(MovableClock())
    assert _let_in(limits, _ME, 200) == 100
    let_in = 0
    for number in range(KEPT + 5000):
        with suppress(Problem):
            limits.take(of_stranger(f"2001:db8:0:{number:x}::1"))
            let_in += 1
    assert let_in == 9000, "a /48 of theirs is one crowd"
    assert sum(map(len, limits._buckets.values())) <= KEPT + 1
    assert _let_in(limits, _ME, 10) == 0


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.integers(0, 5)), max_size=30))
def test_replicas_that_hear_of_each_other_let_in_no_more_than_one(steps: list[tuple[int, int, int]]) -> None:
    """Between two words each may let in a bucket; what that was too much is paid back before there is more."""
    clock = MovableClock()
    replicas = [Limits(clock) for _ in range(2)]
    began, let_in = clock.now(), 0
    for which, tries, seconds in steps:
        if which < 2:
            let_in += _let_in(replicas[which], _ME, min(tries, 20))
        for number, replica in enumerate(replicas):
            news, replica.news = replica.news, {}
            for share, count in news.items():
                replicas[1 - number].hear(share, count)
        clock.advance(seconds=seconds)
    most = 100 + (clock.now() - began) / timedelta(minutes=1) * 100
    assert let_in <= most + 1e-6


@pytest.mark.servers
async def test_two_replicas_have_one_limit(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits_module.SIZES, Limit.INCIDENTS, _FEW)
    await pager.stubs.answer("incidents.create", v.INCIDENT)
    user = uuid4()
    its_own = Settings.load(nats_url=pager.gateway.settings.nats_url.get_secret_value(), port=0)
    async with Gateway(its_own, pager.clock) as other:
        here, there = pager.gateway, other
        token = pager.token(user=user)

        async def create(gateway: Gateway) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            url = f"{gateway.url}/api/v1/incidents"
            async with pager.http.post(url, json=CREATE, headers=headers) as answer:
                return answer.status

        assert [await create(here) for _ in range(6)] == [201] * 5 + [429]
        await here.gossip.tell()
        async with in_time():
            while there.front.limits._bucket(of_person(Limit.INCIDENTS, user)).spent < 5:
                await asyncio.sleep(0.01)
        assert await create(there) == 429
        pager.clock.advance(seconds=12)
        assert [await create(there), await create(there)] == [201, 429]


@pytest.mark.servers
async def test_nothing_that_is_said_on_the_bus_keeps_anybody_out_for_long(pager: World) -> None:
    limits = pager.gateway.front.limits
    gossip = Gossip(pager.gateway.bus, Limits(pager.clock))
    gossip.limits.news = {of_person(Limit.ANSWERS, USER): 10**9, Share(Limit.ANSWERS, "0" * 24, 9): 1}
    for odd in (b"", b"{}", b"[" * 5000, b'{"replica":"x","spent":[]}'):
        await pager.stubs.client.publish(SPENT, odd)
    await gossip.tell()
    async with in_time():
        while (spent := limits._bucket(of_person(Limit.ANSWERS, USER)).spent) == 0:
            await asyncio.sleep(0.01)
    assert spent == 2 * SIZES[Limit.ANSWERS].most


@pytest.mark.servers
async def test_whoever_may_change_no_more_may_still_answer_and_read(
    pager: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(limits_module.SIZES, Limit.INCIDENTS, _FEW)
    for operation in ("create", "get", "acknowledge", "resolve"):
        await pager.stubs.answer(f"incidents.{operation}", v.INCIDENT)
    token = pager.token(user=uuid4())
    made = [await pager.call("POST", "/api/v1/incidents", CREATE, token=token) for _ in range(7)]
    assert [answer.status for answer in made] == [201] * 5 + [429] * 2
    assert [answer.headers["X-RateLimit-Remaining"] for answer in made] == list("4321000")
    assert made[-1].error["code"] == "RATE_LIMITED"
    assert int(made[-1].headers["Retry-After"]) == 12
    for answered in ("acknowledge", "resolve"):
        for _ in range(20):
            path = f"/api/v1/incidents/{ID}/{answered}"
            assert (await pager.call("POST", path, {}, token=token)).status == 200
    assert (await pager.call("GET", f"/api/v1{INCIDENT}", token=token)).status == 200


@pytest.mark.servers
async def test_a_device_is_registered_ten_times_an_hour(pager: World) -> None:
    await pager.stubs.answer("auth.register_device", v.DEVICE)
    body = {"deviceId": "p1", "deviceName": "P", "platform": "ios", "pushToken": "ab" * 32}
    token = pager.token(user=uuid4())
    answers = [await pager.call("POST", "/api/v1/devices", body, token=token) for _ in range(11)]
    assert [answer.status for answer in answers] == [201] * 10 + [429]
    assert (await pager.call("POST", "/api/v1/devices", body | {"deviceId": "p2"}, token=token)).status == 201


@pytest.mark.servers
async def test_every_door_of_people_says_how_much_is_left(pager: World) -> None:
    await pager.stubs.answer("auth.login", v.SIGNED_IN)
    for method, path, body, token, limit in (
        ("POST", "/auth/login", LOGIN, None, "1000"),
        ("GET", "/incidents", None, None, "1000"),
        ("GET", "/teams?nothing=1", None, "", "1000"),
        ("POST", "/incidents", [], "", "100"),
    ):
        answer = await pager.call(method, f"/api/v1{path}", body, token=token)
        assert answer.headers["X-RateLimit-Limit"] == limit, (path, answer.status)
        assert {"X-RateLimit-Remaining", "X-RateLimit-Reset"} <= set(answer.headers)
    assert "X-RateLimit-Limit" not in (await pager.call("GET", "/api/health/live")).headers


@pytest.mark.servers
async def test_strangers_are_counted_where_they_are(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits_module.SIZES, Limit.STRANGERS, _FEW)
    wrong = [await pager.call("GET", "/api/v1/incidents", token=None) for _ in range(7)]
    assert [answer.status for answer in wrong] == [401] * 5 + [429] * 2
    await pager.stubs.answer("incidents.get", v.INCIDENT)
    assert (await pager.call("GET", f"/api/v1{INCIDENT}")).status == 200
