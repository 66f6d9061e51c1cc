"""Alarms of our own page the admins first, can be neither forged nor silenced, never feed themselves (promise 8)."""

from __future__ import annotations

import json
from typing import Any

from libs.contracts.defaults import ADMINS_POLICY_ID, OWN_INTEGRATION_ID
from tests.faults import break_handler, break_intake
from tests.world import World

_ALARM = "escalation could not handle an event of incidents"


async def _alarms(world: World) -> list[dict[str, Any]]:
    """The incidents that our alarms have opened."""
    return [i for i in await world.incidents() if i["integrationId"] == str(OWN_INTEGRATION_ID)]


async def _published(world: World) -> int:
    """Alarms that stand in the stream ALERTS."""
    info = await world.operator.jetstream().stream_info("ALERTS", subjects_filter="pager.alerts.pager.>")
    return sum((info.state.subjects or {}).values())


async def test_the_admins_are_paged_before_whoever_is_on_call(world: World) -> None:
    ana, bo = await world.two_responders()
    root = await world.person("root", roles=("admin",))
    break_handler(world, "escalation", "incidents", lambda event: getattr(event.data, "title", "") == "poison")
    await world.fire_alert("poison", priority="critical")
    await root.expect_push(_ALARM)
    await ana.expect_no_push()
    (alarm,) = await _alarms(world)
    assert (alarm["policyId"], alarm["priority"]) == (str(ADMINS_POLICY_ID), "critical")
    await world.advance(minutes=15)
    await ana.expect_push(_ALARM)
    await bo.expect_no_push()


async def test_nobody_can_take_an_alarm_over_by_using_its_key_first(world: World) -> None:
    ana, _ = await world.two_responders()
    root = await world.person("root", roles=("admin",))
    break_handler(world, "escalation", "incidents", lambda event: getattr(event.data, "title", "") == "poison")
    await world.fire_alert("poison", priority="critical")
    await root.expect_push(_ALARM)
    (alarm,) = await _alarms(world)
    assert (await root.call("POST", f"/incidents/{alarm['id']}/resolve", {})).status == 200
    await world.settle()
    await world.advance(minutes=2)

    await world.fire_alert("nothing to see", source="mallory", dedupKey=alarm["dedupKey"], priority="critical")
    await ana.expect_push("nothing to see")
    await world.fire_alert("poison", priority="critical")
    await world.eventually(lambda: _alarms(world), lambda found: len(found) == 2, "an alarm of its own")
    assert {i["policyId"] for i in await _alarms(world)} == {str(ADMINS_POLICY_ID)}


async def test_an_intake_that_fails_on_every_alert_raises_no_alarm_about_its_alarms(world: World) -> None:
    await world.two_responders()  # whom the alerts page, so that the admin gets nothing but the alarm
    root = await world.person("root", roles=("admin",))
    repair = break_intake(world, lambda _raw: True)
    for number in range(3):
        await world.fire_alert(f"alert {number}", priority="critical")

    async def parked() -> int:
        return len([p for p in await world.parked() if p["type"] == "pager.alerts.pager.critical"])

    await world.eventually(parked, lambda found: found >= 1, "an alarm that was parked itself")
    for _ in range(10):
        await world.advance(minutes=1)
    assert await _published(world) <= 2, "one for the first alert, one for those of the minute after it"
    assert await parked() == await _published(world)

    repair()
    answer = await world.rpc("incidents", "replay")
    assert answer.data["stillParked"] == 0
    await root.expect_push("incidents could not handle an event of ALERTS")
    assert len(await _alarms(world)) == 1


async def test_an_alarm_whose_own_incident_cannot_be_handled_is_the_last_of_its_kind(world: World) -> None:
    break_handler(world, "escalation", "incidents", lambda event: event.name == "IncidentCreated")
    await world.fire_alert("db down", priority="low")
    found = await world.eventually(lambda: _alarms(world), lambda found: len(found) == 1, "the alarm")
    for _ in range(5):
        await world.advance(minutes=1)
    (alarm,) = await _alarms(world)
    assert alarm["id"] == found[0]["id"]
    assert alarm["alertCount"] == 2, "the alarm about its own incident is grouped into it"
    parked = {json.dumps(p["entity"]) for p in await world.parked("escalation")}
    assert len(parked) == 2
