"""A browser is paged like any phone: sealed for it alone, replaced when somebody answers, and it says what it saw."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from services.incidents.analytics.facts import sent_pages
from services.incidents.projections import timeline
from tests.device import DeviceKey
from tests.phone import PASSWORD, Phone
from tests.world import World


async def subscription(world: World, server_key: str) -> dict[str, Any]:
    """A browser of the simulators, subscribed with this key."""
    url = f"{world.environment.url}/webpush/subscriptions"
    async with world._http.request("POST", url, json={"applicationServerKey": server_key}) as answer:
        assert answer.status == 201
        made: dict[str, Any] = await answer.json()
        return made


async def at_a_browser(world: World, name: str = "ana", server_key: str | None = None) -> tuple[Phone, dict[str, Any]]:
    """Somebody who is paged at a browser alone, and is on call; `server_key`: with which it has subscribed."""
    ana = await world.person(name)
    key = (await ana.call("GET", "/devices/web-push-key")).data["webPushKey"]["publicKey"]
    browser = await subscription(world, server_key or key)
    body = {"deviceId": "browser", "deviceName": "Firefox", "platform": "web", "pushToken": json.dumps(browser)}
    registered = await ana.call("POST", "/devices", body)
    assert (registered.status, registered.data["device"]["platform"]) == (201, "web"), registered.body
    assert (await ana.call("DELETE", f"/devices/{ana.device_id}")).status == 200
    ana.token, ana.provider = browser["endpoint"], "webpush"
    await world.on_call(name)
    await world.policy((30, "on-call"))
    return ana, browser


async def test_a_page_reaches_a_browser_and_is_replaced_when_it_is_acknowledged(world: World) -> None:
    ana, _ = await at_a_browser(world)
    await world.fire_alert("db down", priority="critical")
    push = await ana.expect_push("db down")
    incident = await world.incident()
    assert push["payload"]["incidentId"] == incident["id"]
    assert push["payload"]["url"] == incident["url"]
    assert (push["headers"]["urgency"], push["headers"]["topic"]) == ("high", incident["id"].replace("-", ""))
    assert 0 < int(push["headers"]["ttl"]) <= 1800
    (told,) = await world.notifications(incident["id"])
    assert (told["state"], told["method"]) == ("accepted", "push")
    assert (await ana.acknowledge(incident["id"])).status == 200
    replaced = await ana.expect_push("Acknowledged: db down")
    assert replaced["payload"]["notificationId"] == push["payload"]["notificationId"]
    assert replaced["headers"]["urgency"] == "normal"


@pytest.mark.parametrize("faults", [("ServiceUnavailable", "InternalServerError", "reset", "TooManyRequests", "hang")])
async def test_whatever_a_push_service_answers_the_page_is_repeated_under_its_own_id(
    world: World, faults: tuple[str, ...]
) -> None:
    ana, _ = await at_a_browser(world)
    world.vendors_answer_within(2, "webpush")
    for fault in reversed(faults):
        await world.simulate("webpush", fault, ana, times=1)
    await world.fire_alert("db down", priority="critical")
    incident = await world.incident()
    for _ in range(60):
        await world.settle()
        (sent,) = await world.notifications(incident["id"])
        if sent["state"] == "accepted":
            break
        await world.advance(seconds=5)
    assert sent["state"] == "accepted", sent
    seen = [await ana.expect_push("db down") for _ in (*faults, "ok")]
    assert len({push["payload"]["notificationId"] for push in seen}) == 1
    assert len({push["headers"]["topic"] for push in seen}) == 1, "of those that wait the browser gets one"


async def test_a_subscription_that_is_gone_is_retired_where_others_are_reached(world: World) -> None:
    bo, _ = await at_a_browser(world, "bo")
    await world.fire_alert("reach bo", priority="critical")
    await bo.expect_push("reach bo")
    ana, browser = await at_a_browser(world)
    await world.simulate("webpush", "Gone", ana)
    await world.advance(seconds=1)  # a subscription that was made since the refusal would be another
    await world.fire_alert("db down", source="db2", priority="critical")
    await ana.expect_push("db down")
    await world.settle()
    events = await world.log("notifier", "PushTokenRetired")
    assert [(event.data.user_id, event.data.reason) for event in events] == [(ana.user_id, "Gone")]
    assert not any(browser["endpoint"] in str(event) for event in await world.log("notifier"))


async def test_who_has_subscribed_with_another_key_is_found_out_and_holds_back_nobody(world: World) -> None:
    bo, _ = await at_a_browser(world, "bo")
    await world.fire_alert("reach bo", priority="critical")
    await bo.expect_push("reach bo")
    ana, _ = await at_a_browser(world, server_key="B" * 87)
    await world.advance(seconds=1)
    await world.fire_alert("db down", source="db2", priority="critical")
    incident = await world.incident("db down")
    await world.settle()
    told = next(n for n in await world.notifications(incident["id"]) if n["userId"] == str(ana.user_id))
    assert (told["state"], told["attempts"][0]["outcome"], told["attempts"][0]["reason"]) == (
        "failed",
        "retire",
        "Forbidden",
    )
    assert [event.data.reason for event in await world.log("notifier", "PushTokenRetired")] == ["Forbidden"]
    health = await world.health("notifier")
    assert health["extra"]["breakers"]["webpush"] == "closed"


async def test_what_is_no_subscription_of_a_push_service_is_refused(world: World) -> None:
    ana = await world.person("ana")
    browser = await subscription(world, "")
    for endpoint in (
        *("https://127.0.0.1/x", "http://localhost/x", "https://fcm.googleapis.com.evil.com/x", "https://10.0.0.1/x"),
        *("https://a@fcm.googleapis.com/x", "https://fcm.googleapis.com:8443/x", "https://\u24d5cm.googleapis.com/x"),
    ):
        token = json.dumps({**browser, "endpoint": endpoint})
        body = {"deviceId": "browser", "platform": "web", "pushToken": token}
        answer = await ana.call("POST", "/devices", body)
        assert (answer.status, answer.body["error"]["details"]["field"]) == (400, "pushToken"), endpoint
        assert endpoint not in json.dumps(answer.body)
    other = await world.person("bo")
    body = {"deviceId": "browser", "platform": "web", "pushToken": json.dumps(browser, indent=2)}
    assert (await ana.call("POST", "/devices", body)).status == 201
    body["pushToken"] = json.dumps(browser)
    assert (await other.call("POST", "/devices", body)).status == 201
    names = [device["deviceId"] for device in (await ana.call("GET", "/devices")).data["devices"]]
    assert "browser" not in names, "it is one browser, however it is written, and somebody else's now"


async def test_what_a_browser_saw_is_told_where_people_look(world: World) -> None:
    ana, _ = await at_a_browser(world)
    bo = await world.person("bo")
    await world.fire_alert("db down", priority="critical")
    page = (await ana.expect_push("db down"))["payload"]["notificationId"]
    incident = await world.incident()
    seen = world.clock.now()
    await world.advance(seconds=90)

    async def said(state: str, who: Phone = ana, one: str = page, at: Any = seen) -> int:
        return (await who.call("POST", f"/notifications/{one}/receipts", {"state": state, "at": at.isoformat()})).status

    assert [await said("opened"), await said("received"), await said("received")] == [200, 200, 200]
    assert await said("displayed", at=seen - timedelta(days=1)) == 200, "its clock is wrong"
    assert [await said("opened", bo), await said("opened", one=str(uuid4()))] == [404, 404]
    assert await said("opened", world.admin) == 404
    await world.settle()
    (told,) = await world.notifications(incident["id"])
    shown = told["receipts"]
    assert shown["received"] == shown["displayed"] == shown["opened"] == seen.isoformat().replace("+00:00", "Z")
    (alone,) = [(await ana.call("GET", f"/notifications/{page}")).data["notification"]]
    assert alone["receipts"] == shown
    events = await world.log("notifier", "ReceiptRecorded")
    assert [event.data.state for event in events] == ["opened", "received", "displayed"]
    lines = [line["summary"] for line in await world.timeline(incident["id"]) if line["type"] == "ReceiptRecorded"]
    assert f"opened on the device at {seen:%H:%M:%S} UTC" in lines
    explained = (await world.explained(incident["id"]))[str(ana.user_id)]
    assert explained["outcome"] == "paged"
    assert explained["reason"].endswith(f"; opened on the device at {seen:%H:%M:%S} UTC"), explained["reason"]
    (device,) = (await ana.call("GET", "/devices")).data["devices"]
    assert device["lastReceiptAt"] is not None
    assert device["lastReceiptAt"] > told["createdAt"]


async def test_a_phone_whose_session_is_over_still_says_what_it_saw(world: World) -> None:
    ana, _ = await world.two_responders()
    key = DeviceKey()
    who = {"email": ana.email, "password": PASSWORD, "deviceId": ana.device_id, "pushToken": ana.token}
    credential = (await world.http("POST", "/auth/login", who | {"deviceKey": key.public})).data["deviceCredential"]
    world.clock.advance(minutes=8 * 24 * 60)
    await world.fire_alert(priority="critical")
    page = (await ana.expect_push())["headers"]["apns-id"]
    path, body = f"/notifications/{page}/receipts", {"state": "displayed", "at": world.clock.now().isoformat()}
    for _ in range(2):
        answer = await world.http("POST", path, body, **key.use(credential, "POST", path))
        assert answer.status == 200, answer.body
    assert len(await world.log("notifier", "ReceiptRecorded")) == 1


async def test_a_person_sends_a_page_to_a_device_of_their_own(world: World) -> None:
    ana, _ = await at_a_browser(world)
    bo = await world.person("bo")
    begun = await ana.call("POST", "/devices/browser/test")
    assert begun.status == 202, begun.body
    told = begun.data["notification"]
    assert (told["test"], told["deviceId"], told["state"]) == (True, "browser", "intended")
    push = await ana.expect_push("This is a test")
    assert (push["payload"]["test"], push["payload"]["notificationId"]) == ("true", told["id"])
    assert "incidentId" not in push["payload"]
    await world.settle()
    body = {"state": "displayed", "at": world.clock.now().isoformat()}
    assert (await ana.call("POST", f"/notifications/{told['id']}/receipts", body)).status == 200
    after = (await ana.call("GET", f"/notifications/{told['id']}")).data["notification"]
    assert (after["state"], after["attempts"][0]["provider"]) == ("accepted", "webpush")
    assert after["receipts"]["displayed"]
    assert (await bo.call("GET", f"/notifications/{told['id']}")).status == 404
    assert (await bo.call("POST", "/devices/browser/test")).status == 404, "it is Ana's"
    assert (await world.admin.call("GET", f"/notifications?incidentId={told['id']}")).status == 404
    await world.settle()
    assert await world.incidents() == []
    store = world.services["incidents"].runtime.work
    told_of = await store.read(lambda work: [work.fetch(select(table)) for table in (sent_pages, timeline)])
    assert told_of == [[], []], "it counts for nobody"
