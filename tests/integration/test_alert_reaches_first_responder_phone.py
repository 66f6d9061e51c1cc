"""An alert published by anybody pages the person on call, at once."""

from __future__ import annotations

from tests.phone import notification_id
from tests.world import World


async def test_a_plain_alert_pages_the_person_on_call(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    push = await ana.expect_push("db down")
    assert push["headers"]["apns-priority"] == "10"
    assert push["payload"]["aps"]["sound"]["critical"] == 1
    assert notification_id(push) == push["headers"]["apns-id"]
    incident = await world.incident()
    assert (incident["title"], incident["status"], incident["priority"]) == ("db down", "created", "critical")
    await bo.expect_no_push()
    incident = await world.incident()
    assert incident["assignedTo"] == str(ana.user_id)


async def test_an_unacknowledged_page_escalates_to_the_second_responder(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await world.advance(minutes=4.9)
    await bo.expect_no_push()
    await world.advance(minutes=0.2)
    await bo.expect_push("db down")
    assert (await world.incident())["status"] == "escalated"


async def test_an_acknowledgement_from_the_phone_stops_the_escalation(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    page = await ana.expect_push("db down")
    incident = await world.incident()
    answer = await ana.acknowledge(incident["id"], "on it")
    assert (answer.status, answer.data["incident"]["status"]) == (200, "acknowledged")
    replaced = await ana.expect_push()
    assert notification_id(replaced) == notification_id(page)
    await world.advance(minutes=60)
    await bo.expect_no_push()
    await ana.expect_no_push()
