"""Feature flags: what is off for somebody is refused, at once, and the environment has the last word."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openfeature.exception import TypeMismatchError

from libs.chassis.settings import SettingsError, variables
from libs.contracts.features import SWITCHES, Feature, share_of
from libs.contracts.requests import ErrorKind, Refusal
from services.gateway.app import Api
from services.gateway.features import OF_OPERATION, Features
from services.gateway.flags import Flag, Flags
from services.gateway.maintenance import NEVER_STOPS
from services.gateway.route import PagerRoute
from services.gateway.settings import Settings
from services.gateway.tests import views as v
from services.gateway.tests.stubs import USER, World, world
from services.gateway.tests.test_routes import ID

servers = pytest.mark.servers
JO = UUID(int=1)
NATS = {"nats_url": "nats://gateway:x@localhost"}


async def _say(pager: World, flag: Feature, **said: Any) -> None:
    await pager.stubs.answer("auth.doors", {"features": [{"flag": flag, "enabled": True} | said]})
    await pager.gateway.front.heard.ask()


@servers
async def test_what_is_off_is_refused_at_once_and_nothing_else() -> None:
    async with world() as pager:
        await pager.stubs.keys()
        await _say(pager, Feature.REVIEWS, enabled=False)
        path = f"/api/v1/incidents/{ID}/review"
        refused = await pager.call("GET", path)
        assert (refused.status, refused.error["code"]) == (403, "FORBIDDEN")
        assert "reviews is switched off" in refused.error["message"]
        await pager.stubs.forget()
        await pager.stubs.keys()
        await pager.stubs.answer("incidents.review", v.INCIDENT)
        await _say(pager, Feature.REVIEWS, enabled=True, percentage=0, userIds=[str(USER)])
        assert (await pager.call("GET", path)).status == 200
        other = pager.token(user=uuid4())
        assert (await pager.call("GET", path, token=other)).status == 403


@servers
async def test_what_was_said_last_holds_while_auth_is_away() -> None:
    async with world() as pager:
        await _say(pager, Feature.BULK, enabled=False)
        await pager.stubs.forget()
        await pager.gateway.front.heard.ask()
        assert not pager.gateway.front.features.is_on(Feature.BULK, JO)
        await pager.stubs.answer("auth.doors", {"features": "not readable"})
        await pager.gateway.front.heard.ask()
        assert not pager.gateway.front.features.is_on(Feature.BULK, JO)


@servers
async def test_a_flag_that_a_newer_auth_knows_is_no_matter() -> None:
    async with world() as pager:
        new = [{"flag": "new", "enabled": False}, {"flag": "bulk", "enabled": False}]
        await pager.stubs.answer("auth.doors", {"features": new})
        await pager.gateway.front.heard.ask()
        assert not pager.gateway.front.features.is_on(Feature.BULK, JO)


def test_before_anything_is_known_the_defaults_hold() -> None:
    features = Features()
    assert all(features.is_on(feature, who) for feature in Feature for who in (JO, None))


@servers
async def test_what_the_environment_sets_nobody_changes_over_the_api() -> None:
    async with world(feature_bulk=False, feature_stream_percentage=30) as pager:
        await pager.stubs.keys()
        shown = [{"flag": flag, "switches": "x", "enabled": True, "userIds": [ID]} for flag in ("bulk", "stream")]
        await pager.stubs.answer("auth.features", {"features": shown})
        await _say(pager, Feature.BULK, enabled=True)
        assert not pager.gateway.front.features.is_on(Feature.BULK, JO)
        for method, path, body in (
            ("PUT", "bulk", {"enabled": True}),
            ("POST", "bulk/enable", None),
            ("POST", "stream/rollout", {"percentage": 40}),
        ):
            answer = await pager.call(method, f"/api/v1/admin/features/{path}", body)
            assert (answer.status, answer.error["code"]) == (409, "CONFLICT")
            assert "set by environment" in answer.error["message"]
        told = (await pager.call("GET", "/api/v1/admin/features")).json["data"]["features"]
        assert [(one["enabled"], one["percentage"], one["userIds"], one["byEnvironment"]) for one in told] == [
            (False, None, [], True),
            (True, 30, [], True),
        ]


@servers
async def test_who_sets_it_is_told_to_nobody_who_may_not_change_it() -> None:
    async with world(feature_bulk=False) as pager:
        await pager.stubs.keys()
        await pager.stubs.answer("auth.features", refusal=Refusal(kind=ErrorKind.FORBIDDEN, message="no"))
        assert (await pager.call("PUT", "/api/v1/admin/features/bulk", {"enabled": True})).status == 403


@servers
async def test_a_percentage_is_one(subtests: pytest.Subtests) -> None:
    async with world() as pager:
        await pager.stubs.keys()
        wrong: tuple[Any, ...] = (-1, 101, 1.5, "20", None, 10**30)
        for percentage in wrong:
            with subtests.test(percentage=percentage):
                body = {"percentage": percentage}
                assert (await pager.call("POST", "/api/v1/admin/features/bulk/rollout", body)).status == 400
        many = {"enabled": True, "userIds": [str(UUID(int=n)) for n in range(501)]}
        assert (await pager.call("PUT", "/api/v1/admin/features/bulk", many)).status == 400


@pytest.mark.thorough
def test_a_share_is_kept_while_it_grows_and_each_flag_begins_with_others() -> None:
    people = [str(UUID(int=n)) for n in range(2000)]
    having = [{who for who in people if Flag(True, share).judge("bulk", who)[0]} for share in range(101)]
    assert all(less <= more for less, more in pairwise(having))
    assert (len(having[0]), len(having[100])) == (0, 2000)
    assert 300 < len(having[20]) < 500
    assert having[20] != {who for who in people if Flag(True, 20).judge("stream", who)[0]}
    # Written out: with another version nobody's answer changes.
    assert [share_of("bulk", str(UUID(int=n))) for n in range(4)] == [69, 9, 82, 7]


@given(st.text(max_size=64), st.text(max_size=64))
def test_everybody_stands_somewhere(flag: str, who: str) -> None:
    assert 0 <= share_of(flag, who) <= 99


def test_nobody_in_particular_is_in_no_share() -> None:
    assert not Flag(True, 99).judge("bulk", None)[0]
    assert Flag(True).judge("bulk", None)[0]
    assert not Flag(False, 100, frozenset({str(JO)})).judge("bulk", str(JO))[0]
    assert not Flag(True, None, frozenset({str(JO)})).judge("bulk", str(uuid4()))[0]


def test_a_flag_is_on_or_off_and_nothing_else() -> None:
    flags = Flags({})
    for read in (
        lambda: flags.resolve_string_details("bulk", ""),
        lambda: flags.resolve_integer_details("bulk", 0),
        lambda: flags.resolve_float_details("bulk", 0.0),
        lambda: flags.resolve_object_details("bulk", {}),
    ):
        with pytest.raises(TypeMismatchError):
            read()
    assert flags.get_metadata().name == "pager"


def test_the_environment_says_one_thing_of_a_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEATURE_BULK", "false")
    monkeypatch.setenv("FEATURE_STREAM_PERCENTAGE", "25")
    assert Settings.load(**NATS).features == {"bulk": Flag(False), "stream": Flag(True, 25)}
    monkeypatch.setenv("FEATURE_BULK_PERCENTAGE", "10")
    with pytest.raises(SettingsError, match="FEATURE_BULK and FEATURE_BULK_PERCENTAGE are both set: keep one"):
        Settings.load(**NATS)
    monkeypatch.setenv("FEATURE_BULK_PERCENTAGE", "101")
    with pytest.raises(SettingsError, match="FEATURE_BULK_PERCENTAGE: must be at most 100"):
        Settings.load(**NATS)


def test_each_flag_that_exists_switches_something_and_can_be_set() -> None:
    known = {route.operation_id for route in Api().routes if isinstance(route, PagerRoute)}
    assert OF_OPERATION.keys() <= known
    assert {*OF_OPERATION.values(), Feature.STREAM} == set(Feature) == set(SWITCHES)
    set_by = set(variables(Settings).values())
    assert set_by >= {f"FEATURE_{feature.upper()}{share}" for feature in Feature for share in ("", "_PERCENTAGE")}


def test_no_flag_stops_what_pages_somebody_or_answers_one_page() -> None:
    assert not (OF_OPERATION.keys() - {"bulkIncidents"}) & NEVER_STOPS
