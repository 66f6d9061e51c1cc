"""Maintenance: what people change is refused, and what pages somebody never is."""

from __future__ import annotations

from typing import Any

import pytest

from libs.chassis.testing.clock import MovableClock
from libs.contracts.maintenance import MaintenanceView
from services.gateway.app import Api
from services.gateway.envelope import Problem
from services.gateway.maintenance import NEVER_STOPS, Maintenance
from services.gateway.route import ANSWERS, PagerRoute
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World, world
from services.gateway.tests.test_routes import CASES, CREATE, ID, LOGIN

pytestmark = pytest.mark.servers
REACHES = {
    *("createIncident", "acknowledgeIncident", "resolveIncident", "closeIncident", "reopenIncident", "recordReceipt"),
    *("escalateIncident", "reassignIncident", "addResponders", "registerDevice"),
}
_ON: dict[str, Any] = {"enabled": True, "message": "moving house", "until": None}


async def _begin(pager: World, **said: Any) -> None:
    await pager.stubs.answer("auth.doors", {"maintenance": _ON | said})
    await pager.gateway.front.heard.ask()


async def test_people_change_nothing_and_are_told_why() -> None:
    async with world() as pager:
        await pager.stubs.keys()
        until = pager.clock.now().replace(year=pager.clock.now().year + 1)
        await _begin(pager, until=until.isoformat())
        await pager.stubs.answer("auth.create_team", v.TEAM)
        refused = await pager.call("POST", "/api/v1/teams", {"name": "x"})
        assert (refused.status, refused.error["code"]) == (503, "MAINTENANCE")
        assert (refused.error["message"], refused.headers["Retry-After"]) == ("moving house", "300")
        assert "auth.create_team" not in pager.stubs.asked
        await pager.stubs.answer("auth.team", v.TEAM)
        assert (await pager.call("GET", f"/api/v1/teams/{ID}")).status == 200
        assert (await pager.call("GET", "/api/health/live")).status == 200
        pager.clock.advance(minutes=370 * 24 * 60)
        await pager.stubs.keys()
        assert (await pager.call("POST", "/api/v1/teams", {"name": "x"})).status == 201, "it ends by itself"


async def test_whatever_pages_somebody_goes_on() -> None:
    async with world() as pager:
        await pager.stubs.keys()
        await _begin(pager)
        for operation in ("acknowledge", "resolve", "create"):
            await pager.stubs.answer(f"incidents.{operation}", v.INCIDENT)
        await pager.stubs.answer("auth.login", v.SIGNED_IN)
        assert (await pager.call("POST", f"/api/v1/incidents/{ID}/acknowledge", {})).status == 200
        assert (await pager.call("POST", f"/api/v1/incidents/{ID}/resolve", {})).status == 200
        assert (await pager.call("POST", "/api/v1/incidents", CREATE)).status == 201
        assert (await pager.call("POST", "/api/v1/auth/login", LOGIN, token=None)).status == 200


async def test_so_does_all_else_that_answers_a_page_or_reaches_somebody(subtests: pytest.Subtests) -> None:
    async with world() as pager:
        await pager.stubs.keys()
        await _begin(pager)
        cases = [case for case in CASES if case.name in REACHES]
        assert {case.name for case in cases} == REACHES
        for case in cases:
            with subtests.test(case.name):
                await pager.stubs.answer(case.operation, case.reply)
                assert (await pager.call(case.method, f"/api/v1{case.path}", case.body)).status == case.status


async def test_whoever_must_not_be_here_can_be_shut_out_and_others_let_in_again(subtests: pytest.Subtests) -> None:
    async with world() as pager:
        await pager.stubs.keys()
        await _begin(pager)
        for method, path in (
            ("DELETE", f"/users/{ID}/sessions"),
            ("DELETE", f"/users/{ID}/sessions/{ID}"),
            ("DELETE", f"/users/{ID}/devices/phone"),
            ("DELETE", "/devices/phone"),
            ("POST", f"/users/{ID}/deactivate"),
            ("DELETE", f"/users/{ID}/identities"),
            ("DELETE", f"/api-keys/{ID}"),
            ("DELETE", f"/api-keys/{ID}/secrets/{ID}"),
            ("DELETE", f"/integrations/{ID}/keys/{ID}"),
            ("DELETE", f"/invites/{ID}"),
            ("POST", f"/users/{ID}/unlock"),
            ("POST", f"/users/{ID}/reactivate"),
            ("POST", f"/users/{ID}/password/reset-link"),
        ):
            with subtests.test(path=path):
                answer = await pager.call(method, f"/api/v1{path}", {} if method == "POST" else None)
                # Nobody is there to do it: it came through the door.
                assert answer.error["code"] == "UNAVAILABLE", answer.json


async def test_what_was_said_last_holds_while_auth_is_away() -> None:
    async with world() as pager:
        await pager.stubs.keys()
        await _begin(pager)
        await pager.stubs.forget()
        await pager.gateway.front.heard.ask()
        with pytest.raises(Problem) as refused:
            pager.gateway.front.maintenance.check("createTeam")
        assert refused.value.code == "MAINTENANCE"


async def test_what_the_environment_says_nobody_ends_over_the_api() -> None:
    async with world(enable_maintenance_mode=True) as pager:
        await pager.stubs.keys()
        await pager.stubs.answer("auth.maintenance", {"enabled": False})
        for method, body in (("POST", {"enabled": False}), ("DELETE", None)):
            answer = await pager.call(method, "/api/v1/admin/maintenance", body)
            assert (answer.status, answer.error["code"]) == (409, "CONFLICT")
        shown = (await pager.call("GET", "/api/v1/admin/maintenance")).json["data"]["maintenance"]
        assert (shown["enabled"], shown["byEnvironment"]) == (True, True)
        assert (await pager.call("POST", "/api/v1/teams", {"name": "x"})).error["code"] == "MAINTENANCE"


def test_before_anything_is_known_nothing_is_refused() -> None:
    maintenance = Maintenance(MovableClock())
    maintenance.check("createTeam")
    maintenance.heard = MaintenanceView(enabled=True)
    with pytest.raises(Problem):
        maintenance.check("createTeam")
    for operation in NEVER_STOPS:
        maintenance.check(operation)


def test_what_answers_a_page_never_stops() -> None:
    assert ANSWERS <= NEVER_STOPS
    known = {route.operation_id for route in Api().routes if isinstance(route, PagerRoute)}
    assert NEVER_STOPS & known >= {"acknowledgeIncident", "resolveIncident", "createIncident", "registerDevice"}


async def test_health_says_so() -> None:
    async with world() as pager:
        assert (await pager.call("GET", "/api/health", token=None)).json.get("maintenance") is None
        await _begin(pager)
        assert (await pager.call("GET", "/api/health", token=None)).json["maintenance"] is True
