"""Duplicates open one incident and page once; different alerts are never taken for duplicates (promise 7)."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from sqlalchemy import text

from libs.contracts.subjects import SERVICES
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

_CLOUD_EVENT = {
    "ce-specversion": "1.0",
    "ce-type": "disk.full",
    "ce-source": "/disks",
    "content-type": "application/json",
}


async def _integration(world: World, name: str = "Shop") -> str:
    """The key of a new integration."""
    answer = await world.admin.call("POST", "/integrations", {"name": name})
    assert answer.status == 201, answer.body
    return str(answer.data["integration"]["key"])


async def _by_title(world: World) -> dict[str, list[dict[str, Any]]]:
    await world.settle()
    found: dict[str, list[dict[str, Any]]] = {}
    for incident in await world.incidents():
        found.setdefault(incident["title"], []).append(incident)
    return found


@pytest.mark.services(*SERVICES)
async def test_alerts_with_one_dedup_key_open_one_incident_that_counts_them_and_page_once(world: World) -> None:
    ana, _ = await world.two_responders()
    for _repeat in range(5):
        await world.fire_alert("db down", dedupKey="db-1", priority="critical")
    await ana.expect_push("db down")
    await ana.expect_no_push()
    await world.fire_alert("db still down", "another-sender", dedupKey="db-1", priority="low")
    await world.settle()
    incident = await world.incident()
    assert (incident["alertCount"], incident["title"], incident["priority"]) == (6, "db down", "critical")
    resolved = await world.admin.call("POST", f"/incidents/{incident['id']}/resolve", {})
    assert resolved.data["incident"]["alertCount"] == 6
    (over,) = await world.log("incidents", "IncidentResolved")
    assert over.data.alert_count == 6, "not every repeat has an event, but what became of it says how many there were"


async def test_keys_that_would_collide_by_concatenation_stay_apart(world: World) -> None:
    keys = [("c1", "1234"), ("c11", "234"), ("c112", "34")]
    for key, number in keys:
        event = _CLOUD_EVENT | {"ce-source": key, "ce-id": number}
        await world.publish(json.dumps({"summary": f"event {key}|{number}"}).encode(), headers=event)
        await world.fire_alert(f"alert {key}|{number}", key, dedupKey=number)
    found = await _by_title(world)
    assert {title: len(incidents) for title, incidents in found.items()} == {
        f"{kind} {key}|{number}": 1 for kind in ("event", "alert") for key, number in keys
    }


async def test_a_cloud_event_published_again_is_not_counted_even_after_its_incident_was_resolved(world: World) -> None:
    body = json.dumps({"summary": "disk full", "dedupKey": "disk"}).encode()
    event = _CLOUD_EVENT | {"ce-id": "17"}
    for _repeat in range(3):
        await world.publish(body, headers=event)
    # The same event in structured mode, as a retry through another library would send it.
    structured = {"specversion": "1.0", "id": "17", "source": "/disks", "type": "disk.full", "data": json.loads(body)}
    await world.publish(json.dumps(structured).encode(), headers={"content-type": "application/cloudevents+json"})
    await world.settle()
    incident = await world.incident()
    assert incident["alertCount"] == 1
    # Another event with the same key is another alert of the same problem.
    await world.publish(body, headers=event | {"ce-id": "18"})
    await world.settle()
    assert (await world.incident())["alertCount"] == 2
    resolved = await world.admin.call("POST", f"/incidents/{incident['id']}/resolve", {})
    assert resolved.status == 200
    await world.publish(body, headers=event)
    await world.settle()
    assert ((await world.incident())["id"], (await world.incident())["alertCount"]) == (incident["id"], 2)


@pytest.mark.services(*SERVICES)
async def test_a_retry_under_its_message_id_is_one_alert_and_another_body_under_it_is_another(world: World) -> None:
    """The stream itself forgets an id after 100 ms; a retry comes later than that."""
    ana, _ = await world.two_responders()
    named = {"Nats-Msg-Id": "shop/1"}
    for summary, paged in (("db down", True), ("db down", False), ("disk full", True), ("db down", False)):
        body = json.dumps({"summary": summary, "priority": "high"}).encode()
        send = functools.partial(world.publish, body, "shop", headers=named)
        await world.eventually(send, lambda ack: not ack.duplicate, "the stream forgets an id after 100 ms")
        if paged:
            await ana.expect_push(summary)
        else:
            await ana.expect_no_push()
    found = await _by_title(world)
    assert {title: [i["alertCount"] for i in incidents] for title, incidents in found.items()} == {
        "db down": [1],
        "disk full": [1],
    }


async def test_events_whose_id_is_no_text_are_each_their_own(world: World) -> None:
    for number, identity in enumerate((None, None, False, False, 7, 7)):
        event = {"specversion": "1.0", "id": identity, "source": "/s", "type": "t", "data": {"summary": f"no {number}"}}
        await world.publish(json.dumps(event).encode(), headers={"content-type": "application/cloudevents+json"})
    assert {title: len(incidents) for title, incidents in (await _by_title(world)).items()} == {
        f"no {number}": 1 for number in range(6)
    }


async def test_counters_that_start_again_name_new_alerts(world: World) -> None:
    for summary in ("disk full", "db down"):
        await world.publish(json.dumps({"summary": summary}).encode(), headers=_CLOUD_EVENT | {"ce-id": "1"})
    assert {title: len(incidents) for title, incidents in (await _by_title(world)).items()} == {
        "disk full": 1,
        "db down": 1,
    }


@pytest.mark.services(*SERVICES)
async def test_an_alert_after_the_resolve_is_a_new_generation_and_pages_again(world: World) -> None:
    ana, _ = await world.two_responders()
    for generation in (1, 2, 3):
        await world.fire_alert(f"db down {generation}", dedupKey="db-1", priority="high")
        await ana.expect_push(f"db down {generation}")
        await world.settle()
        newest = (await world.incidents(status="created"))[0]
        assert (await world.admin.call("POST", f"/incidents/{newest['id']}/resolve", {})).status == 200
        await ana.expect_push()
    found = await world.incidents()
    assert len({incident["id"] for incident in found}) == 3
    assert {incident["status"] for incident in found} == {"resolved"}
    assert [e.data.generation for e in await world.log("incidents", "IncidentCreated")] == [1, 2, 3]


async def test_alerts_without_any_key_open_an_incident_each(world: World) -> None:
    for _repeat in range(3):
        await world.fire_alert("queue is long", priority="low")
    await world.settle()
    found = await world.incidents()
    assert [incident["alertCount"] for incident in found] == [1, 1, 1]
    assert len({incident["number"] for incident in found}) == 3


@pytest.mark.services(*SERVICES)
async def test_an_integration_acknowledges_and_resolves_its_own_incident_and_nobody_elses(world: World) -> None:
    ana, bo = await world.two_responders()
    key, other = await _integration(world, "Shop"), await _integration(world, "Depot")
    await world.fire_alert("till broken", dedupKey="till", routingKey=key, priority="high")
    await world.fire_alert("till broken too", dedupKey="till", routingKey=other, priority="low")
    await ana.expect_push("till broken")
    await world.settle()
    assert len(await world.incidents()) == 2, "a dedup key belongs to its integration"

    await world.fire_alert(dedupKey="till", routingKey=key, action="acknowledge")
    await world.settle()
    statuses = {title: found[0]["status"] for title, found in (await _by_title(world)).items()}
    assert statuses == {"till broken": "acknowledged", "till broken too": "created"}
    await world.advance(minutes=14)
    assert "till broken too" in json.dumps((await bo.expect_push())["payload"]), "only the other one escalated"

    await world.fire_alert(dedupKey="till", routingKey=key, action="resolve")
    await world.fire_alert(dedupKey="nothing-open", routingKey=key, action="resolve")
    statuses = {title: found[0]["status"] for title, found in (await _by_title(world)).items()}
    assert statuses == {"till broken": "resolved", "till broken too": "escalated"}
    assert await world.parked() == []


@pytest.mark.services(*SERVICES)
async def test_an_anonymous_acknowledge_is_refused_listed_and_counted_and_the_paging_goes_on(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", dedupKey="db-1", priority="critical")
    await ana.expect_push("db down")
    for action in ("acknowledge", "resolve"):
        await world.fire_alert("never mind", "mallory", dedupKey="db-1", action=action)
    await world.advance(minutes=5)
    await bo.expect_push("db down")
    assert (await world.incident())["status"] == "escalated"
    parked = await world.parked()
    assert [(p["kind"], p["entity"]) for p in parked] == [("input", "mallory"), ("input", "mallory")]
    assert "acknowledge" in parked[0]["reason"]
    assert all("routingKey" in p["reason"] for p in parked)
    assert (await world.health("incidents"))["parked"] == {"input": 2}


async def test_what_an_alert_was_is_forgotten_when_no_repeat_of_it_can_come_any_more(world: World) -> None:
    async def send(event_id: str) -> None:
        await world.publish(b'{"summary": "db down"}', headers=_CLOUD_EVENT | {"ce-id": event_id})
        await world.settle()

    async def remembered() -> int:
        count = text("SELECT count(*) AS n FROM incidents.seen_alerts")
        return int((await world.services["incidents"].runtime.work.read(lambda work: work.fetch(count)))[0]["n"])

    await send("1")
    await world.advance(minutes=8 * 24 * 60)
    await send("1")
    assert [i["alertCount"] for i in await world.incidents()] == [1], "ALERTS may show it again for a week"
    await send("2")
    assert await remembered() == 2
    await world.advance(minutes=6 * 24 * 60 + 61)
    await world.eventually(remembered, lambda found: found == 1, "the younger one alone")
