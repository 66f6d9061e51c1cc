"""What people do to an incident beside answering it pages whom they mean, once, and nobody else (docs/adr/0066)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.contracts.defaults import DEFAULT_POLICY_ID
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Answer, Phone
from tests.world import World


@pytest.fixture
async def crew(world: World) -> tuple[Phone, Phone, Phone]:
    """Ana is on call, then Bo; Lena leads."""
    ana, bo = await world.two_responders()
    lena = await world.person("lena", roles=("user", "lead"))
    await world.settle()
    return ana, bo, lena


async def _act(by: Phone, incident: dict[str, Any], act: str, **body: Any) -> dict[str, Any]:
    answer = await by.call("POST", f"/incidents/{incident['id']}/{act}", body)
    assert answer.status == 200, answer.body
    seen: dict[str, Any] = answer.data["incident"]
    return seen


async def _taken(world: World, ana: Phone) -> dict[str, Any]:
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    incident = await world.incident()
    assert (await ana.acknowledge(incident["id"])).status == 200
    await ana.expect_push("Acknowledged")
    return incident


async def _silent(*phones: Phone) -> None:
    for phone in phones:
        await phone.expect_no_push()


async def test_whoever_is_given_an_incident_is_paged_and_then_its_levels(
    world: World, crew: tuple[Phone, Phone, Phone]
) -> None:
    ana, bo, lena = crew
    incident = await _taken(world, ana)
    seen = await _act(ana, incident, "reassign", assignedTo=str(lena.user_id), notes="my shift ends")
    assert (seen["assignedTo"], seen["status"], seen["run"]) == (str(lena.user_id), "escalated", 2)
    await lena.expect_push("db down")
    await _silent(ana, bo)
    await world.advance(minutes=5)
    await ana.expect_push("db down")
    await lena.expect_push("db down")  # whose it is stays with level 1
    await _act(lena, incident, "acknowledge")
    await lena.expect_push("Acknowledged")
    await world.advance(minutes=60)
    await _silent(bo)
    unknown = await ana.call("POST", f"/incidents/{incident['id']}/reassign", {"assignedTo": str(uuid4())})
    assert (unknown.status, unknown.body["error"]["details"]["field"]) == (400, "assignedTo")


async def test_help_is_paged_beside_whoever_has_it(world: World, crew: tuple[Phone, Phone, Phone]) -> None:
    ana, bo, lena = crew
    incident = await _taken(world, ana)
    seen = await _act(ana, incident, "responders", userIds=[str(lena.user_id)], notes="the index is gone")
    assert (seen["status"], seen["acknowledgedBy"]) == ("acknowledged", str(ana.user_id))
    assert seen["responders"] == [str(lena.user_id)]
    await lena.expect_push("db down")
    await world.advance(minutes=60)
    await _silent(ana, bo)
    seen = await _act(lena, incident, "acknowledge", notes="on it")
    await lena.expect_push("Acknowledged")
    assert [a["userId"] for a in seen["acknowledgements"]] == [str(ana.user_id), str(lena.user_id)]
    await _act(bo, incident, "resolve")
    await ana.expect_push("Resolved")
    await lena.expect_push("Resolved")


async def test_help_is_asked_for_while_the_levels_go_on(world: World, crew: tuple[Phone, Phone, Phone]) -> None:
    ana, bo, lena = crew
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    incident = await world.incident()
    await world.advance(minutes=4)
    seen = await _act(ana, incident, "responders", userIds=[str(lena.user_id)])
    await lena.expect_push("db down")
    assert seen["status"] == "created"
    await world.advance(minutes=1)
    await bo.expect_push("db down")
    await _silent(ana)
    assert (await world.incident())["assignedTo"] == str(bo.user_id), "who helps does not have it"


async def test_a_level_or_the_leads_are_paged_when_somebody_says_so(
    world: World, crew: tuple[Phone, Phone, Phone]
) -> None:
    ana, bo, lena = crew
    incident = await _taken(world, ana)
    seen = await _act(ana, incident, "escalate", reason="I am lost")
    assert (seen["status"], seen["run"]) == ("escalated", 2)
    await lena.expect_push("db down")
    await _silent(ana, bo)
    await _act(lena, incident, "escalate", level=2)
    await bo.expect_push("db down")
    await _silent(ana)
    await _act(bo, incident, "acknowledge")
    await bo.expect_push("Acknowledged")
    told = [entry["summary"] for entry in await world.timeline(incident["id"])]
    assert "escalated to the leads: I am lost" in told
    assert "escalated to level 2" in told


async def test_what_is_snoozed_or_suppressed_is_quiet_until_its_end(
    world: World, crew: tuple[Phone, Phone, Phone]
) -> None:
    ana, bo, lena = crew
    incident = await _taken(world, ana)
    seen = await _act(ana, incident, "snooze", minutes=30)
    until = world.clock.now() + timedelta(minutes=30)
    assert seen["snoozedUntil"] == until.isoformat().replace("+00:00", "Z")
    await world.stop("incidents")
    await world.start("incidents")
    await world.advance(minutes=29)
    await _silent(ana, bo, lena)
    await world.advance(minutes=1)
    await ana.expect_push("db down")
    assert (await world.incident())["snoozedUntil"] is None
    seen = await _act(bo, incident, "suppress", minutes=60, reason="we are moving the rack")
    assert seen["suppression"]["by"] == str(bo.user_id)
    await ana.expect_push("Acknowledged")
    await world.advance(minutes=59)
    await _silent(ana, bo, lena)
    await world.advance(minutes=1)
    await ana.expect_push("db down")
    assert (await world.incident())["suppression"] is None
    await _act(bo, incident, "resolve")
    await world.settle()
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}, "the log says the same, timers and all"


async def test_an_acknowledgement_stands_as_long_as_its_policy_says(
    world: World, crew: tuple[Phone, Phone, Phone]
) -> None:
    ana, _bo, lena = crew
    for minutes in (0, -1, 1e9):
        refused = await _limit(world, minutes)
        assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "acknowledgementTimeoutMinutes")
    changed = await _limit(world, 20)
    assert changed.data["policy"]["acknowledgementTimeoutMinutes"] == 20
    await world.settle()
    incident = await _taken(world, ana)
    await world.settle()
    assert (await world.incident())["acknowledgementEndsAt"] is not None
    await world.advance(minutes=10)
    await _act(ana, incident, "responders", userIds=[str(lena.user_id)])
    await lena.expect_push("db down")
    await world.advance(minutes=9)
    await _silent(ana, lena)
    await world.advance(minutes=1)
    await ana.expect_push("db down")
    seen = await world.incident()
    assert (seen["status"], seen["acknowledgementEndsAt"]) == ("escalated", None)
    assert "the acknowledgement has timed out" in [e["summary"] for e in await world.timeline(incident["id"])]
    assert (await _limit(world, None)).data["policy"]["acknowledgementTimeoutMinutes"] is None


async def test_a_policy_resolves_what_is_acknowledged_and_forgotten_also_after_a_restart(
    world: World, crew: tuple[Phone, Phone, Phone]
) -> None:
    ana, bo, lena = crew
    path = f"/escalation/policies/{DEFAULT_POLICY_ID}"
    refused = await world.admin.call("PATCH", path, {"autoResolveMinutes": 0})
    assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "autoResolveMinutes")
    changed = await world.admin.call("PATCH", path, {"autoResolveMinutes": 120})
    assert changed.data["policy"]["autoResolveMinutes"] == 120
    await world.settle()
    incident = await _taken(world, ana)
    await world.advance(minutes=60)
    assert (await ana.call("POST", f"/incidents/{incident['id']}/notes", {"text": "watching it"})).status == 201
    await world.advance(minutes=119)
    assert (await world.incident())["status"] == "acknowledged"
    await world.stop("incidents")
    await world.start("incidents")
    await world.advance(minutes=2)
    assert (await world.incident())["status"] == "resolved"
    await ana.expect_push("Resolved")
    await _silent(bo, lena)
    [entry] = [e for e in await world.timeline(incident["id"]) if e["type"] == "IncidentResolved"]
    assert (entry["actor"], entry["summary"]) == (
        {"kind": "service", "id": "incidents"},
        "resolved: nothing has been heard of it for 2 hours, after which its policy resolves what somebody has",
    )
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}


async def _limit(world: World, minutes: float | None) -> Answer:
    body = {"acknowledgementTimeoutMinutes": minutes}
    return await world.admin.call("PATCH", f"/escalation/policies/{DEFAULT_POLICY_ID}", body)


async def test_an_act_that_is_not_allowed_says_who_has_ended_it_and_what_is(
    world: World, crew: tuple[Phone, Phone, Phone]
) -> None:
    ana, bo, _lena = crew
    incident = await _taken(world, ana)
    path = f"/incidents/{incident['id']}"
    now = world.clock.now()
    queued = {"occurredAt": (now - timedelta(minutes=9)).isoformat(), "sentAt": now.isoformat()}
    await _act(ana, incident, "resolve", notes="disk added")
    for act, body in (("acknowledge", queued), ("snooze", {"minutes": 5}), ("escalate", {})):
        refused = await bo.call("POST", f"{path}/{act}", body)
        error = refused.body["error"]
        assert (refused.status, error["code"], error["details"]["state"]) == (409, "CONFLICT", "resolved")
        assert error["message"].startswith(f"resolved by Ana Tester at {now:%H:%M} UTC"), error
        assert error["details"]["allowed"] == ["resolve", "close", "reopen", "notes", "edit"]
    again = await _act(bo, incident, "reopen", notes="it is not")
    assert (again["status"], again["run"]) == ("created", 2)
    late = await ana.call("POST", f"{path}/acknowledge", queued)
    assert late.status == 409
    assert "paging started again" in late.body["error"]["message"]
    wrong_clock = {"occurredAt": "2001-01-01T00:00:00Z", "sentAt": "2001-01-01T00:00:00Z"}
    assert (await ana.call("POST", f"{path}/acknowledge", wrong_clock)).status == 200
    stale = await ana.call("POST", f"{path}/snooze", {"minutes": 5}, **{"If-Match": '"1"'})
    assert stale.status == 412
    await _act(ana, incident, "resolve")
    await world.advance(minutes=24 * 60 + 1)
    assert (await ana.call("POST", f"{path}/reopen", {})).status == 409


async def test_a_note_says_who_wrote_it_with_what(world: World, crew: tuple[Phone, Phone, Phone]) -> None:
    ana, _bo, _lena = crew
    incident = await _taken(world, ana)
    path = f"/incidents/{incident['id']}"
    made = await ana.call("POST", f"{path}/notes", {"text": "the replica lags"}, **{"Pager-Client": "push"})
    assert (made.status, made.data["note"]["text"], made.data["note"]["by"]) == (
        201,
        "the replica lags",
        str(ana.user_id),
    )
    odd = await ana.call("POST", f"{path}/notes", {"text": "and again"}, **{"Pager-Client": "root"})
    assert odd.status == 201
    told = {e["summary"]: e.get("client") for e in await world.timeline(incident["id"])}
    assert told["note: the replica lags"] == "push"
    assert told["note: and again"] is None
    assert told[f"critical incident #{incident['number']} from db: db down"] == "machine"
    _, page, _ = await world.page(f"/app/incidents/{incident['id']}")
    assert "Pager" in page
    assert (await world.incident())["url"].endswith(f"/app/incidents/{incident['id']}")
