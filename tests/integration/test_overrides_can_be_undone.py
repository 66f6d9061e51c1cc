"""Whoever is put on call for a while can be relieved: by whoever did it, by themselves, and by leads; at once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

SCHEDULE = f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}"
OVERRIDES = f"{SCHEDULE}/overrides"


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body


def _hours(world: World, person: Phone, begins: float = 0, ends: float = 8) -> dict[str, Any]:
    start, end = (world.clock.now() + timedelta(hours=hours) for hours in (begins, ends))
    return {"userId": str(person.user_id), "startTime": _iso(start), "endTime": _iso(end)}


async def _added(who: Phone, body: dict[str, Any], **headers: str) -> dict[str, Any]:
    answer = await who.call("POST", OVERRIDES, body, **headers)
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.data["override"]
    return found


async def _on_call(world: World) -> str:
    current = await world.admin.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")
    return str(current.data["currentOnCall"]["userId"])


async def _listed(who: Phone, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await who.call("GET", f"{OVERRIDES}{query}")).data["overrides"]
    return found


async def test_a_running_override_that_is_cancelled_pages_whoever_is_on_call_without_it(world: World) -> None:
    ana, bo = await world.two_responders()
    override = await _added(world.admin, _hours(world, bo))
    await world.settle()
    await world.fire_alert("while bo stands in", priority="critical")
    await bo.expect_push("while bo stands in")
    await world.advance(minutes=1)

    cancelled = await bo.call("DELETE", f"{OVERRIDES}/{override['id']}")
    assert cancelled.status == 200, cancelled.body
    assert cancelled.data["override"] == override | {
        "cancelledBy": str(bo.user_id),
        "cancelledAt": _iso(world.clock.now()),
    }
    assert await _on_call(world) == str(ana.user_id)
    await world.settle()
    await world.fire_alert("after bo", priority="critical", source="other", dedupKey="after")
    await ana.expect_push("after bo")
    # Answered before it is asked again, twice, and later: it stays as it was cancelled first.
    await world.advance(minutes=1)
    for who in (bo, world.admin):
        again = await who.call("DELETE", f"{OVERRIDES}/{override['id']}")
        assert (again.status, again.data) == (200, cancelled.data)
    assert await _listed(ana) == [cancelled.data["override"]]
    assert (await ana.call("GET", SCHEDULE)).data["schedule"]["overrides"] == []


@pytest.mark.services("auth", "oncall")
async def test_overrides_are_listed_and_only_those_whom_they_concern_cancel_them(world: World) -> None:
    await world.person("ana", "ios")
    bo, cy = await world.person("bo"), await world.person("cy")
    lena = await world.person("lena", roles=("user", "lead"))
    await world.on_call("ana", "bo")
    by_lead = await _added(lena, _hours(world, cy, 1, 2))
    by_bo = await _added(bo, _hours(world, bo, 3, 4))
    by_admin = await _added(world.admin, _hours(world, bo, 5, 6))
    assert [by_lead["createdBy"], by_bo["createdBy"]] == [str(lena.user_id), str(bo.user_id)]
    assert await _listed(cy) == [by_admin, by_bo, by_lead]
    paged = await cy.call("GET", f"{OVERRIDES}?limit=2&page=2")
    assert (paged.data["overrides"], paged.data["pagination"]["total"]) == ([by_lead], 3)
    assert (await cy.call("GET", f"{OVERRIDES}/{by_bo['id']}")).data["override"] == by_bo

    ana = world.phone("ana")
    for override in (by_lead, by_bo, by_admin):
        _refused(await ana.call("DELETE", f"{OVERRIDES}/{override['id']}"), 403, "FORBIDDEN")
    for method in ("GET", "DELETE"):
        _refused(await ana.call(method, f"{OVERRIDES}/{uuid4()}"), 404, "NOT_FOUND")
        unknown = f"/on-call/schedules/{uuid4()}/overrides/{by_bo['id']}"
        _refused(await world.admin.call(method, unknown), 404, "NOT_FOUND")
    _refused(await ana.call("GET", f"/on-call/schedules/{uuid4()}/overrides"), 404, "NOT_FOUND")
    for who, override in ((cy, by_lead), (bo, by_bo), (lena, by_admin)):
        assert (await who.call("DELETE", f"{OVERRIDES}/{override['id']}")).status == 200
    assert {o["cancelledBy"] for o in await _listed(ana)} == {str(p.user_id) for p in (cy, bo, lena)}
    shifts = f"{SCHEDULE}/shifts?from={by_lead['startTime']}&to={by_admin['endTime']}"
    await world.settle()
    assert not any(s["isOverride"] for s in (await ana.call("GET", shifts)).data["shifts"])
    assert differences(await rebuilt(world, "oncall", swap=False)) == {}, "the log says the same"


async def test_who_has_no_device_takes_no_shift_and_leads_are_warned(world: World) -> None:
    ana, _bo = await world.two_responders()
    body = {"email": "dan@pager.test", "password": PASSWORD, "firstName": "Dan", "lastName": "Ek", "roles": ["user"]}
    made = (await world.admin.call("POST", "/users", body)).data["user"]
    dan = Phone(world, "dan@pager.test", "", "fcm", UUID(made["id"]), "laptop")
    await dan.sign_in()
    layer = {"start": "2026-01-05T09:00", "participants": [str(ana.user_id), str(dan.user_id)]}
    assert (await world.admin.call("PATCH", SCHEDULE, {"layers": [layer]})).status == 200
    _refused(await dan.call("POST", OVERRIDES, _hours(world, dan)), 409, "CONFLICT")
    by_admin = await _added(world.admin, _hours(world, dan))
    assert by_admin["reachable"] is False
    assert [o["reachable"] for o in await _listed(ana)] == [False]
    # As soon as he is signed in on a phone he may, without waiting for anything.
    dan.device_id, dan.token = "phone", "fcm-dan-0123456789"
    await dan.sign_in()
    mine = await _added(dan, _hours(world, dan, 10, 11))
    assert mine["reachable"] is True
    assert [o["reachable"] for o in await _listed(ana)] == [True, True]


async def test_an_override_beyond_the_plan_is_shown_until_it_is_cancelled(world: World) -> None:
    _ana, bo = await world.two_responders()
    override = await _added(world.admin, _hours(world, bo, 24 * 150, 24 * 151))
    query = f"{SCHEDULE}/shifts?from={override['startTime']}&to={override['endTime']}"

    async def stand_ins() -> list[str]:
        shifts = (await bo.call("GET", query)).data["shifts"]
        return [s["userId"] for s in shifts if s["isOverride"]]

    assert await stand_ins() == [str(bo.user_id)]
    assert (await bo.call("DELETE", f"{OVERRIDES}/{override['id']}")).status == 200
    assert await stand_ins() == []


async def test_a_lead_relieves_somebody_while_auth_is_away(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.settle()
    await world.stop("auth")
    override = await _added(world.admin, _hours(world, bo))
    assert override["reachable"] is True
    assert await _on_call(world) == str(bo.user_id)
    assert (await world.admin.call("DELETE", f"{OVERRIDES}/{override['id']}")).status == 200
    assert await _on_call(world) == str(ana.user_id)
    assert (await ana.call("POST", OVERRIDES, _hours(world, ana, 1, 2))).status == 201, "her phone is known here"


async def test_commands_at_the_same_time_leave_one_truth(world: World) -> None:
    ana, bo = await world.two_responders()
    override = await _added(world.admin, _hours(world, bo))
    path = f"{OVERRIDES}/{override['id']}"
    cancels = [who.call("DELETE", path) for who in (bo, world.admin)]
    other = ana.call("POST", OVERRIDES, _hours(world, ana, 1, 2), **{"Idempotency-Key": "once"})
    *cancelled, added = await asyncio.gather(*cancels, other)
    assert [a.status for a in (*cancelled, added)] == [200, 200, 201], [a.body for a in (*cancelled, added)]
    assert cancelled[0].body == cancelled[1].body, "the first one counts, for both"
    # The answer was lost: the same command again is neither a second override nor a second event.
    again = await ana.call("POST", OVERRIDES, _hours(world, ana, 1, 2), **{"Idempotency-Key": "once"})
    assert (again.status, again.body) == (201, added.body)
    assert [len(await world.log("oncall", name)) for name in ("OverrideAdded", "OverrideCancelled")] == [2, 1]
    assert await _on_call(world) == str(ana.user_id)
    assert [o["id"] for o in await _listed(ana)] == [added.data["override"]["id"], override["id"]]
