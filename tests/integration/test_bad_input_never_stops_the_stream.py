"""What nobody can read is kept with its reason and pages once per source; what follows it pages as ever (promise 8)."""

from __future__ import annotations

import json

from libs.chassis.store.changes import Row
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID
from services.incidents.dedup import key_hash
from services.incidents.projections import integration_keys
from tests.world import World

_LIMIT = 512 * 1024

_UNREADABLE: dict[str, tuple[bytes, dict[str, str], str]] = {
    "not-json": (b"db down!", {}, "not JSON"),
    "not-utf8": (b'{"summary": "caf\xe9"}', {}, "not valid UTF-8 at byte 16"),
    "list": (b'["db down"]', {}, "expected a JSON object"),
    "no-summary": (b'{"priority": "high"}', {}, "summary: Field required"),
    "blank-summary": (b'{"summary": "  "}', {}, "summary: "),
    "wrong-type": (b'{"summary": "x", "metadata": [1]}', {}, "metadata: "),
    "wrong-action": (b'{"summary": "x", "action": "explode"}', {}, "action: "),
    "no-zone": (b'{"summary": "x", "occurredAt": "2026-03-02T09:00:00"}', {}, "occurredAt: "),
    "nan": (b'{"summary": "x", "metadata": {"load": NaN}}', {}, "NaN is not JSON"),
    "deep": (b'{"summary": ' + b"[" * 200_000 + b"}", {}, "not JSON"),
    "unknown-key": (b'{"summary": "x", "routingKey": "no-such-key"}', {}, "routingKey: no integration has this key"),
    "batch": (
        b'[{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"summary": "x"}}]',
        {"content-type": "application/cloudevents-batch+json"},
        "batch mode is not supported",
    ),
    "old-version": (b'{"summary": "x"}', {"ce-specversion": "0.3", "ce-id": "1"}, "ce-specversion must be 1.0"),
    "empty": (b"", {}, "not JSON"),
}


async def test_each_kind_of_unreadable_alert_is_listed_with_its_reason_and_a_good_alert_follows_each(
    world: World,
) -> None:
    for source, (body, headers, _) in _UNREADABLE.items():
        await world.publish(body, source, headers=headers or None)
        await world.fire_alert(f"good after {source}", "good", priority="low")
    await world.settle()
    parked = {p["entity"]: p for p in await world.parked()}
    assert parked.keys() == _UNREADABLE.keys()
    for source, (_body, _headers, reason) in _UNREADABLE.items():
        assert reason in parked[source]["reason"], parked[source]["reason"]
        assert parked[source]["kind"] == "input"
    titles = sorted(incident["title"] for incident in await world.incidents())
    expected = [f"good after {s}" for s in _UNREADABLE] + [f"Unreadable alert from {s}" for s in _UNREADABLE]
    assert titles == sorted(expected)


async def test_unreadable_alerts_of_one_source_open_one_incident_that_pages_and_says_why(world: World) -> None:
    ana, _ = await world.two_responders()
    for number in range(4):
        await world.publish(f"garbage {number}".encode(), "old-nagios")
    await ana.expect_push("Unreadable alert from old-nagios")
    await world.publish(b"\x00\xff", "old-nagios.critical")
    await ana.expect_no_push()
    incident = await world.incident()
    assert (incident["alertCount"], incident["priority"]) == (5, "high")
    assert "not JSON" in incident["description"]
    assert "pager parked list" in incident["description"]
    parked = await world.parked()
    assert len(parked) == 5
    assert "garbage 0" in parked[0]["raw"]


async def test_a_parked_alert_stays_parked_until_its_key_is_known_and_then_opens_its_incident(world: World) -> None:
    await world.publish(b'{"summary": "till broken", "routingKey": "a-key"}', "shop")
    await world.settle()
    (parked,) = await world.parked()
    assert (await world.rpc("incidents", "replay", {"id": parked["id"]})).ok
    still = await world.parked()
    assert [p["reason"] for p in still] == [parked["reason"]], "what fails again is parked again, not lost"

    row = {"key_hash": key_hash("a-key"), "integration_id": DEFAULT_INTEGRATION_ID, "created_at": world.clock.now()}
    await world.services["incidents"].runtime.work.transact(lambda work: work.put(Row(integration_keys, row)))
    replayed = await world.rpc("incidents", "replay")
    assert replayed.data == {"replayed": 1, "stillParked": 0}
    await world.settle()
    assert await world.parked() == []
    assert {i["title"] for i in await world.incidents()} == {"till broken", "Unreadable alert from shop"}
    unknown = await world.rpc("incidents", "replay", {"id": 999_999})
    assert unknown.error is not None
    assert unknown.error.kind == "not_found"


async def test_an_alert_of_nearly_a_megabyte_is_shortened_with_a_mark_and_still_pages(world: World) -> None:
    ana, bo = await world.two_responders()
    room = 1024 * 1024 - 64
    head = {"summary": "disk full", "priority": "critical", "description": "d" * 200_000}
    size = len(json.dumps(head | {"metadata": {"dump": ""}}))
    body = json.dumps(head | {"metadata": {"dump": "m" * (room - size)}}).encode()
    assert _LIMIT < len(body) <= room
    await world.publish(body, "disks")
    await ana.expect_push("disk full")
    listed = await world.incident()
    assert len(json.dumps(listed)) < 16_000, "a list of such incidents must fit into an answer"
    incident = (await world.admin.call("GET", f"/incidents/{listed['id']}")).data["incident"]
    assert str(len(body)) in incident["metadata"]["shortened"]
    assert incident["description"].endswith(f"[shortened by Pager: the alert had {len(body)} bytes]")
    await world.advance(minutes=5)
    await bo.expect_push("disk full")

    # A summary alone of that size: the page says what burns, in one line.
    await world.publish(json.dumps({"summary": "s" * 900_000, "priority": "critical"}).encode(), "disks")
    push = await ana.expect_push("ssss")
    assert len(json.dumps(push["payload"])) <= 4096, "APNs takes no more"
    assert await world.parked() == []


async def test_a_cloud_event_without_an_id_pages_like_any_alert(world: World) -> None:
    ana, _ = await world.two_responders()
    headers = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t"}
    for _repeat in range(2):
        await world.publish(b'{"summary": "no id", "priority": "high"}', headers=headers)
        await ana.expect_push("no id")
    await world.settle()
    assert len(await world.incidents()) == 2, "without an id nothing says that the second is a repeat"
    # Text that PostgreSQL cannot hold is made storable rather than refused.
    await world.publish(b'{"summary": "nul \\u0000 here \\ud800", "metadata": {"k\\u0000": "v"}}')
    await ana.expect_push("nul")
    assert await world.parked() == []
