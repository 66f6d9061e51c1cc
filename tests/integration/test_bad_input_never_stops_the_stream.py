"""What nobody can read is kept with its reason and pages; what follows it pages as ever (promise 8, ADR 34)."""

from __future__ import annotations

import json

import pytest

from libs.chassis.store.changes import Row
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID
from libs.contracts.subjects import SERVICES
from services.incidents.dedup import key_hash
from services.incidents.projections import integration_keys
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

_LIMIT = 512 * 1024

_UNREADABLE: dict[str, tuple[bytes, dict[str, str], str]] = {
    "not-json": (b"db down!", {}, "not JSON"),
    "not-utf8": (b"caf\xe9", {}, "not valid UTF-8 at byte 3"),
    "list": (b'["db down"]', {}, "expected a JSON object"),
    "text": (b'"db down"', {}, "expected a JSON object"),
    "deep": (b'{"summary": ' + b"[" * 200_000 + b"}", {}, "not JSON"),
    "batch": (
        b'[{"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": {"summary": "x"}}]',
        {"content-type": "application/cloudevents-batch+json"},
        "batch mode is not supported",
    ),
    "empty": (b"", {}, "not JSON"),
}
_HUGE = b"9" * 10_000
_MENDED: dict[str, tuple[bytes, dict[str, str], str]] = {
    "latin-1": (b'{"summary": "caf\xe9 down"}', {}, "not UTF-8"),
    "wrong-type": (b'{"summary": "x", "metadata": []}', {}, "metadata (not an object)"),
    "wrong-action": (b'{"summary": "x", "action": "explode"}', {}, "action (unknown, taken as trigger)"),
    "no-zone": (b'{"summary": "x", "occurredAt": "2026-03-02T09:00:00"}', {}, "occurredAt (not a time with an offset)"),
    "early": (b'{"summary": "x", "occurredAt": "0001-01-01T00:00:00+01:00"}', {}, "occurredAt ("),
    "late": (b'{"summary": "x"}', {"ce-time": "9999-12-31T23:59:59-01:00"}, "time ("),
    "no-key": (b'{"summary": "x", "dedupKey": ""}', {}, "dedupKey (empty)"),
    "list-key": (b'{"summary": "x", "dedupKey": [42]}', {}, "dedupKey (not text)"),
    "nan": (b'{"summary": "x", "metadata": {"load": NaN}}', {}, "metadata (a number that cannot be held"),
    "infinite": (b'{"summary": "x", "metadata": {"load": 1e400}}', {}, "metadata (a number that cannot be held"),
    "huge": (b'{"summary": "x", "metadata": {"load": %b}}' % _HUGE, {}, "metadata (a number that cannot be held"),
    "long": (
        b'{"summary": "x", "metadata": {"load": -%b}}' % _HUGE[:4300],
        {},
        "metadata (a number that cannot be held",
    ),
    "old-version": (b'{"summary": "x"}', {"ce-specversion": "0.3", "ce-id": "1"}, "specversion (not 1.0)"),
    "surrogate": (b'{"summary": "x \\ud800", "dedupKey": "\\ud801", "priority": true}', {}, "priority (not text)"),
    "no-summary": (b'{"priority": "critical"}', {}, "summary (missing)"),
    "blank-summary": (b'{"summary": "  ", "priority": "critical"}', {}, "summary (empty)"),
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


async def test_each_kind_of_odd_field_costs_that_field_and_never_the_alert(world: World) -> None:
    for source, (body, headers, _) in _MENDED.items():
        await world.publish(body, source, headers=headers or None)
    await world.settle()
    assert await world.parked() == [], "each was decided at once, none was tried again"
    opened = {e.data.source: e.data for e in await world.log("incidents", "IncidentCreated")}
    assert opened.keys() == _MENDED.keys()
    for source, (_body, _headers, told) in _MENDED.items():
        description = opened[source].description or ""
        assert f"[Pager could not read: {told}" in description or told in description, (source, description)
    titles = {source: fact.title for source, fact in opened.items() if fact.title != "x"}
    assert titles == {
        "latin-1": "caf\ufffd down",
        "surrogate": "x ?",
        "no-summary": "Alert without a summary from no-summary",
        "blank-summary": "Alert without a summary from blank-summary",
    }
    assert opened["no-summary"].priority == "critical"
    listed = {i["title"] for i in await world.incidents()}
    assert listed == {"x", *titles.values()}, "what is stored can be read back"


@pytest.mark.services(*SERVICES)
async def test_unreadable_alerts_of_different_content_page_each_and_the_same_bytes_once(world: World) -> None:
    ana, _ = await world.two_responders()
    for number in range(2):
        await world.publish(f"garbage {number}".encode(), "old-nagios")
        await ana.expect_push("Unreadable alert from old-nagios")
    await world.publish(b"garbage 0", "old-nagios")
    await ana.expect_no_push()
    found = sorted(await world.incidents(), key=lambda incident: int(incident["number"]))
    assert [(i["alertCount"], i["priority"]) for i in found] == [(2, "high"), (1, "high")]
    assert "not JSON" in found[0]["description"]
    assert "pager parked list" in found[0]["description"]
    parked = await world.parked()
    assert len(parked) == 3
    assert "garbage 0" in parked[0]["raw"]


async def test_a_sender_cannot_speak_as_an_alarm_of_ours_by_being_replayed(world: World) -> None:
    forged = {"subject": "pager.alerts.pager.critical"}
    await world.publish(b'{"summary": "all is well", "routingKey": "a-key"}', "mallory", headers=forged)
    await world.settle()
    (parked,) = await world.parked()
    assert parked["type"] == "pager.alerts.mallory"
    row = {"key_hash": key_hash("a-key"), "integration_id": DEFAULT_INTEGRATION_ID, "created_at": world.clock.now()}
    await world.services["incidents"].runtime.work.transact(lambda work: work.put(Row(integration_keys, row)))
    assert (await world.rpc("incidents", "replay")).data == {"replayed": 1, "stillParked": 0}
    await world.settle()
    created = [e.data for e in await world.log("incidents", "IncidentCreated")]
    assert {(fact.source, fact.integration_id) for fact in created} == {("mallory", DEFAULT_INTEGRATION_ID)}


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
    assert [i["title"] for i in await world.incidents()] == ["till broken"] * 2, "to Default at first, then by its key"
    unknown = await world.rpc("incidents", "replay", {"id": 999_999})
    assert unknown.error is not None
    assert unknown.error.kind == "not_found"


@pytest.mark.services(*SERVICES)
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


@pytest.mark.services(*SERVICES)
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
