"""Three pods of one deployment burn: one incident, three alerts, each of them listed, counted and over by itself."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import uuid4

from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import contents, differences, rebuilt
from tests.world import World


async def _integration(world: World) -> str:
    made = await world.admin.call("POST", "/integrations", {"name": "cluster", "type": "cloudevents"})
    return str(made.data["integration"]["key"])


async def _alerts(world: World, incident: str, query: str = "") -> dict[str, Any]:
    answer = await world.admin.call("GET", f"/incidents/{incident}/alerts{query}")
    assert answer.status == 200, answer.body
    return dict(answer.data)


def _pods(key: str, number: int, action: str = "trigger") -> dict[str, Any]:
    return {
        "dedupKey": "deployment/shop",
        "routingKey": key,
        "action": action,
        "labels": {"pod": f"shop-{number}", "zone": "a"},
        "links": [
            {"href": f"https://grafana.example/d/{number}", "text": "Dashboard"},
            {"href": "javascript:alert(1)"},
        ],
        "priority": "critical",
    }


async def _burning(world: World) -> tuple[str, str]:
    """The integration's key, and the incident of its three alerts."""
    await world.two_responders()
    key = await _integration(world)
    for number in (1, 2, 3):
        await world.fire_alert(f"shop-{number} restarts", **_pods(key, number))
        await world.settle()  # one after the other, for the order of the list
    for number in (2, 2, 3):
        await world.fire_alert(f"shop-{number} restarts", **_pods(key, number))
    await world.settle()
    return key, str((await world.incident())["id"])


async def test_each_alert_is_listed_with_its_text_labels_links_and_count(world: World) -> None:
    key, incident = await _burning(world)
    shown = (await world.incident())["alerts"], (await world.incident())["alertCount"]
    assert shown == ({"open": 3, "total": 3, "more": False}, 6)
    listed = (await _alerts(world, incident))["alerts"]
    assert [(a["title"], a["count"], a["state"]) for a in listed] == [
        ("shop-1 restarts", 1, "open"),
        ("shop-2 restarts", 3, "open"),
        ("shop-3 restarts", 2, "open"),
    ]
    assert listed[1]["labels"] == {"pod": "shop-2", "zone": "a"}
    assert listed[1]["links"] == [{"href": "https://grafana.example/d/2", "text": "Dashboard"}]
    assert listed[1]["fingerprint"].startswith("labels:")

    await world.fire_alert("shop-2 is fine", **_pods(key, 2, "resolve"))
    await world.settle()
    over, burning = [await _alerts(world, incident, f"?state={state}") for state in ("resolved", "open")]
    assert [a["title"] for a in over["alerts"]] == ["shop-2 restarts"]
    assert [a["title"] for a in burning["alerts"]] == ["shop-1 restarts", "shop-3 restarts"]
    first = await _alerts(world, incident, "?sort=-createdAt&limit=2")
    assert [a["title"] for a in first["alerts"]] == ["shop-3 restarts", "shop-2 restarts"]
    assert first["pagination"]["total"] == 3
    last = await _alerts(world, incident, f"?sort=-createdAt&limit=2&cursor={first['nextCursor']}")
    assert [a["title"] for a in last["alerts"]] == ["shop-1 restarts"]
    other = await world.admin.call("GET", f"/incidents/{incident}/alerts?cursor={first['nextCursor']}")
    assert (other.status, other.body["error"]["details"]["field"]) == (400, "cursor")
    assert (await world.admin.call("GET", f"/incidents/{uuid4()}/alerts")).status == 404
    found = (await world.rpc("incidents", "find_alerts", {"key": incident[:8], "state": "open"})).data
    assert [a["title"] for a in found["alerts"]] == ["shop-1 restarts", "shop-3 restarts"]
    assert (await world.admin.call("GET", f"/incidents/{incident}/alerts?state=odd")).status == 400


async def test_the_incident_ends_with_its_last_alert_and_the_timeline_says_how(world: World) -> None:
    key, incident = await _burning(world)
    for number in (1, 2, 3):
        assert (await world.incident())["status"] == "created"
        await world.fire_alert("over", **_pods(key, number, "resolve"))
        await world.settle()
    ended = await world.incident()
    assert (ended["status"], ended["alerts"]) == ("resolved", {"open": 0, "total": 3, "more": False})
    told = [entry["summary"] for entry in await world.timeline(incident) if "alert" in entry["summary"]]
    assert told.pop(2) == "at least 6 alerts of the same kind"
    assert told == [
        "a further alert: shop-2 restarts",
        "a further alert: shop-3 restarts",
        "an alert is over, 2 still burn",
        "an alert is over, 1 still burns",
        "an alert is over, 0 still burn",
        "resolved: Its last alert is over.",
    ]
    assert {a["state"] for a in (await _alerts(world, incident))["alerts"]} == {"resolved"}
    assert (await _alerts(world, incident, "?state=open"))["alerts"] == []


async def test_most_incidents_have_one_alert_which_is_listed_as_well(world: World) -> None:
    await world.two_responders()
    for _ in range(3):
        await world.fire_alert("db down", dedupKey="db", metadata={"a": 1})
    await world.settle()
    incident = await world.incident()
    [alert] = (await _alerts(world, incident["id"]))["alerts"]
    assert (alert["id"], alert["title"], alert["count"], alert["fingerprint"]) == (incident["id"], "db down", 3, None)
    assert (await _alerts(world, incident["id"], "?state=resolved"))["alerts"] == []
    assert (await _alerts(world, incident["id"], "?page=2"))["alerts"] == []
    assert (await world.admin.call("POST", f"/incidents/{incident['id']}/resolve", {})).status == 200
    [alert] = (await _alerts(world, incident["id"], "?state=resolved"))["alerts"]
    assert alert["resolvedAt"] is not None
    reported = await world.admin.call("POST", "/incidents", {"title": "I see smoke"})
    made = reported.data["incident"]
    assert made["alerts"] == {"open": 1, "total": 1, "more": False}
    [alert] = (await _alerts(world, made["id"]))["alerts"]
    assert (alert["title"], alert["source"]) == ("I see smoke", "api")


async def test_the_rows_are_what_the_log_says_and_twice_the_same(world: World) -> None:
    key, _ = await _burning(world)
    await world.fire_alert("over", **_pods(key, 1, "resolve"))
    await world.fire_alert("again", **_pods(key, 1))
    await world.settle()
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}
    before = await contents(world, "incidents")
    assert "alerts" in before
    for _time in range(2):
        assert (await rebuilt(world, "incidents")).swapped
        assert await contents(world, "incidents") == before


async def test_what_became_of_each_message_can_be_asked_for_and_adds_up(world: World) -> None:
    await world.two_responders()
    key = await _integration(world)
    sent: dict[int, str] = {}

    async def send(expected: str, **fields: Any) -> None:
        sent[(await world.fire_alert("shop restarts", **fields)).seq] = expected

    await send("created", **_pods(key, 1))
    await send("added", **_pods(key, 2))
    await send("folded", **_pods(key, 2))
    await world.settle()
    await send("resolved", **_pods(key, 2, "resolve"))
    await send("unmatched", **_pods(key, 2, "resolve"))
    await send("acknowledged", **_pods(key, 1, "acknowledge"))
    await send("refused", dedupKey="deployment/shop", action="resolve")
    await send("created", routingKey="of nobody")
    await world.settle()
    incident = next(i for i in await world.incidents() if i["alerts"]["total"] == 2)
    for sequence, expected in sent.items():
        [found] = (await world.rpc("incidents", "outcomes", {"sequence": sequence})).data["outcomes"]
        assert found["outcome"] == expected, sequence
        is_its = expected in ("added", "folded", "resolved", "unmatched", "acknowledged")
        assert not is_its or found["incidentId"] == incident["id"]
    assert (await world.rpc("incidents", "outcomes", {"sequence": 10**6})).data["outcomes"] == []
    told = (await world.rpc("incidents", "balance", {"hours": 24})).data
    assert told["taken"] == sum(told["outcomes"].values()) >= len(sent)
    assert Counter(sent.values()) <= Counter(told["outcomes"])
    assert (told["waiting"], told["untold"]) == (0, 0)
