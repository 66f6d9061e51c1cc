"""A fault of ours on one event costs that event's incident a delay, and nobody else anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from libs.contracts.model import Lane
from tests.faults import break_handler
from tests.rest import intakes
from tests.world import World


async def test_an_incident_that_escalation_fails_on_pages_the_admins_and_its_answer_is_heard_all_the_same(
    world: World,
) -> None:
    ana, bo = await world.two_responders()
    root = await world.person("root", roles=("admin",))
    repair = break_handler(world, "escalation", "incidents", lambda event: getattr(event.data, "title", "") == "poison")
    await world.fire_alert("poison", dedupKey="poison", priority="critical")
    await root.expect_push("escalation could not handle an event of incidents")
    await world.fire_alert("healthy", dedupKey="healthy", priority="critical")
    await ana.expect_push("healthy")
    incident = await world.incident("poison")
    assert (await bo.acknowledge(incident["id"])).status == 200
    await world.settle()
    (parked,) = await world.parked("escalation")
    assert (parked["kind"], parked["type"], parked["entity"]) == (
        "failure",
        "pager.incidents.IncidentCreated.v1",
        incident["id"],
    ), "an answer waits behind nothing"
    assert parked["reason"] == "ZeroDivisionError: a fault of ours"
    health = await world.health("escalation")
    assert (health["parked"], health["ready"]) == ({"failure": 1}, True)

    assert (await world.rpc("escalation", "replay")).data == {"replayed": 0, "stillParked": 1}
    assert [p["id"] for p in await world.parked("escalation")] == [parked["id"]]
    repair()
    assert (await world.rpc("escalation", "replay")).data == {"replayed": 1, "stillParked": 0}
    assert await world.parked("escalation") == []
    await ana.expect_no_push()
    # What comes later about it is handled as ever.
    resolved = await bo.call("POST", f"/incidents/{incident['id']}/resolve", {})
    assert resolved.status == 200
    await world.settle()
    assert await world.parked("escalation") == []


async def test_what_depends_on_a_parked_event_waits_behind_it_and_a_replay_handles_all_in_order(world: World) -> None:
    ana, _ = await world.two_responders()
    first = set[UUID]()

    def is_bad(event: Any) -> bool:
        if event.name == "EscalationStarted" and not first:
            first.add(event.entity)
        return event.name == "EscalationStarted" and event.entity in first

    repair = break_handler(world, "incidents", "escalation", is_bad)
    await world.fire_alert("db down", dedupKey="db", priority="critical")
    await ana.expect_push("db down")
    incident = await world.incident("db down")
    await world.settle()
    parked = await world.parked()
    assert {p["entity"] for p in parked} == {str(escalation) for escalation in first}
    assert [(p["kind"], p["type"].split(".")[2]) for p in parked] == [
        ("failure", "EscalationStarted"),
        ("waiting", "EscalationDue"),
    ]
    assert "EscalationDue" not in await _told(world, incident["id"])

    out_of_order = await world.rpc("incidents", "replay", {"id": parked[1]["id"]})
    assert out_of_order.data["replayed"] == 0, "what waits is never handled before its predecessor"
    repair()
    assert (await world.rpc("incidents", "replay")).data["stillParked"] == 0
    await world.settle()
    assert await world.parked() == []
    assert "EscalationDue" in await _told(world, incident["id"])


async def _told(world: World, incident_id: str) -> list[str]:
    """The names of the events in the timeline."""
    return [entry["type"] for entry in await world.timeline(incident_id)]


async def test_an_alert_that_we_fail_on_is_parked_pages_the_admins_and_never_stops_the_alerts(world: World) -> None:
    await world.two_responders()
    root = await world.person("root", roles=("admin",))
    (routine,) = [i for i in intakes(world.services["incidents"]) if i.lane is Lane.ROUTINE]
    whole = routine._applier.take

    def take(work: Any, items: Sequence[Any]) -> None:
        if any(b"poison" in item.raw for item in items):
            raise ZeroDivisionError("a fault of ours")
        whole(work, items)

    routine._applier.take = take
    for number in range(6):
        await world.fire_alert(f"poison {number}")
    await world.fire_alert("healthy", priority="low")
    await root.expect_push("incidents could not handle an event of ALERTS")
    await world.eventually(world.parked, lambda found: len(found) == 6, "all six parked, beyond the five that stop")
    await world.incident("healthy")
    assert {p["kind"] for p in await world.parked()} == {"failure"}
    health = await world.health("incidents")
    assert (health["ready"], health["parked"]) == (True, {"failure": 6})

    routine._applier.take = whole
    assert (await world.rpc("incidents", "replay")).data == {"replayed": 6, "stillParked": 0}
    await world.settle()
    assert {f"poison {number}" for number in range(6)} <= {i["title"] for i in await world.incidents()}


async def test_five_different_events_in_a_row_stop_the_consumer_and_a_restart_goes_on_where_it_stopped(
    world: World,
) -> None:
    ana, _ = await world.two_responders()
    break_handler(world, "escalation", "incidents", lambda _event: True)
    for number in range(6):
        await world.fire_alert(f"event {number}", priority="critical")

    async def health() -> dict[str, Any]:
        return await world.health("escalation")

    found = await world.eventually(health, lambda h: not h["ready"], "an escalation that is not ready")
    (stopped,) = found["stopped"]
    assert "incidents.urgent: 5 different events in a row failed" in stopped
    assert stopped.endswith("ZeroDivisionError"), "what it said stays with operators"
    parked = await world.parked("escalation")
    assert len(parked) == 4, "the fifth stays in the stream: it may be us"
    answer = await world.eventually(
        lambda: world.http("GET", "/health"), lambda a: a.status == 503, "a gateway that says so"
    )
    assert answer.body["status"] == "unavailable"
    ready = (await world.http("GET", "/health/ready")).body
    assert ready["services"]["escalation"] == "stopped"

    await world.stop("escalation")
    await world.start("escalation")
    assert (await world.rpc("escalation", "replay")).data["stillParked"] == 0
    await world.settle()
    assert (await world.health("escalation"))["ready"] is True
    pushes = world.simulators.log.read(device_token=ana.token)
    told = " ".join(push.payload.decode() for push in pushes)
    assert all(f"event {number}" in told for number in range(6)), "late, and not one is lost"
