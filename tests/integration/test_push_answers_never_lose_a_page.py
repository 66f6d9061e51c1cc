"""Whatever a push service answers, the page is tried again, sent otherwise or said to be undeliverable (promise 11)."""

from __future__ import annotations

import json
import math

import pytest

from tests.phone import Phone, notification_id
from tests.world import World


async def _responder(world: World, platform: str) -> tuple[Phone, str]:
    """The only person on call, with a phone of that kind, and the provider behind it."""
    phone = await world.person("ana", platform)
    await world.on_call("ana")
    await world.policy((30, "on-call"))
    return phone, phone.provider


async def _until_accepted(world: World, phone: Phone, minutes: int = 5) -> list[str]:
    """Moves the clock on until the vendor has taken the page; returns what the attempts came to."""
    incident = await world.incident()
    for _second in range(0, minutes * 60, 5):
        await world.settle()
        (sent,) = await world.notifications(incident["id"])
        if sent["state"] == "accepted":
            return [attempt["outcome"] for attempt in sent["attempts"]]
        await world.advance(seconds=5)
    raise AssertionError(f"not accepted within {minutes} minutes: {sent}")


@pytest.mark.parametrize(
    ("platform", "faults"),
    [
        ("ios", ("ServiceUnavailable", "InternalServerError", "reset", "TooManyRequests", "hang")),
        ("android", ("UNAVAILABLE", "INTERNAL", "reset", "QUOTA_EXCEEDED", "hang")),
    ],
)
async def test_a_page_is_repeated_under_its_own_id_until_the_vendor_takes_it(
    world: World, platform: str, faults: tuple[str, ...]
) -> None:
    ana, provider = await _responder(world, platform)
    world.vendors_answer_within(2, provider)
    # Rules are chosen newest first: the last one added answers the first attempt.
    for fault in reversed(faults):
        await world.simulate(provider, fault, ana, times=1)
    await world.fire_alert("db down", priority="critical")
    outcomes = await _until_accepted(world, ana)
    assert outcomes[-1] == "accepted"
    assert set(outcomes[:-1]) == {"transient", "throttle"}
    seen = [notification_id(await ana.expect_push("db down")) for _ in (*faults, "ok")]
    assert len(set(seen)) == 1, "a repeat replaces the same notification on the phone"
    await ana.expect_no_push()
    incident = await world.incident()
    summaries = [e["summary"] for e in await world.timeline(incident["id"]) if e["type"] == "AttemptFailed"]
    assert len(summaries) == len(outcomes) - 1
    assert all("again at" in summary for summary in summaries)
    assert (await world.explained(incident["id"]))[str(ana.user_id)]["outcome"] == "paged"


async def _page(world: World, phone: Phone, title: str) -> None:
    """Somebody needs the owner of this phone alone."""
    targets = [{"type": "user", "id": str(phone.user_id)}]
    body = {"name": f"Only for {title}", "levels": [{"timeoutMinutes": 30, "targets": targets}]}
    policy = await world.admin.call("POST", "/escalation/policies", body)
    assert policy.status == 201, policy.body
    await world.settle()
    wish = {"title": title, "priority": "critical", "policyId": policy.data["policy"]["id"]}
    assert (await world.admin.call("POST", "/incidents", wish)).status == 201


@pytest.mark.parametrize(("platform", "answer"), [("ios", "Unregistered"), ("android", "UNREGISTERED")])
async def test_a_token_that_is_dead_is_retired_until_its_phone_registers_it_again(
    world: World, platform: str, answer: str
) -> None:
    ana, provider = await _responder(world, platform)
    bo = await world.person("bo", platform)
    await _page(world, bo, "another matter")
    await bo.expect_push("another matter")
    # Who has a phone would be paged in her place.
    assert (await bo.call("POST", "/auth/logout", {"deviceId": bo.device_id})).status == 200
    await world.settle()
    # The vendor knows of the death since now: a token that was registered before is meant.
    world.clock.advance(seconds=60)
    await world.simulate(provider, answer, ana, timestamp=int(world.clock.now().timestamp() * 1000))
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await ana.expect_no_push()
    incident = await world.incident("db down")
    explained = (await world.explained(incident["id"]))[str(ana.user_id)]
    assert explained["outcome"] == "unreachable"
    assert answer in explained["reason"]

    async def retired() -> list[str]:
        return [e.data.reason for e in await world.log("notifier", "PushTokenRetired")]

    await world.eventually(retired, lambda found: found == [answer], "the token is retired")
    # The next page does not even try; the person is named at once.
    await world.fire_alert("disk full", priority="critical")
    await ana.expect_no_push()
    newest = await world.incident("disk full")
    explained = (await world.explained(newest["id"]))[str(ana.user_id)]
    assert (explained["outcome"], explained["reason"]) == ("unreachable", "cannot be reached: no device")
    # The same token, registered again, is good again, and gets what nobody has answered meanwhile.
    world.simulators.book.clear()
    world.clock.advance(seconds=60)
    await ana.sign_in()
    await world.settle()
    told = {json.dumps((await ana.expect_push())["payload"]) for _ in range(2)}
    assert all(any(title in push for push in told) for title in ("db down", "disk full"))
    await world.fire_alert("and again", priority="critical")
    await ana.expect_push("and again")


@pytest.mark.parametrize(("platform", "answer"), [("ios", "DeviceTokenNotForTopic"), ("android", "UNREGISTERED")])
async def test_a_vendor_that_refuses_every_phone_retires_none_and_the_operators_are_told(
    world: World, platform: str, answer: str
) -> None:
    ana, provider = await _responder(world, platform)
    world.clock.advance(seconds=60)
    await world.simulate(provider, answer)
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await world.settle()
    await world.advance(minutes=2)

    async def titles() -> set[str]:
        return {incident["title"] for incident in await world.incidents()}

    alarm = f"{provider} refuses devices and has taken no page of others: check its configuration"
    await world.eventually(titles, lambda found: alarm in found, "the operators' alarm")
    assert await world.log("notifier", "PushTokenRetired") == []
    # As soon as the configuration is mended, the next page arrives.
    world.simulators.book.clear()
    await world.fire_alert("disk full", priority="critical")
    while "disk full" not in json.dumps((await ana.expect_push())["payload"]):
        pass  # what the operators are told comes to the same phone


async def test_refused_credentials_are_visible_page_the_operator_and_the_page_goes_out_once_they_are_right(
    world: World,
) -> None:
    ana, bo = await world.two_responders()
    chief = await world.person("chief", roles=("user", "admin"))
    await world.simulate("apns", "InvalidProviderToken", times=5)
    await world.settle()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await world.settle()
    incident = await world.incident()
    (sent,) = await world.notifications(incident["id"])
    assert (sent["attempts"][0]["outcome"], sent["attempts"][0]["reason"]) == ("credentials", "InvalidProviderToken")
    for _attempt in range(20):
        await world.advance(seconds=5)
    incidents = {i["title"]: i for i in await world.incidents()}
    assert "apns does not take pages" in incidents, "five refusals in a row open an incident of their own"
    assert incidents["apns does not take pages"]["priority"] == "critical"
    (sent,) = await world.notifications(incident["id"])
    assert sent["state"] == "accepted"
    await world.advance(minutes=5)
    await bo.expect_push("db down")
    assert chief.seen == 0


async def test_a_page_is_withdrawn_when_its_vendor_never_answers_before_it_has_lost_its_meaning(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.simulate("apns", "ServiceUnavailable", ana)
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    for _minute in range(6):
        await world.advance(minutes=1)
    await bo.expect_push("db down")
    incident = await world.incident("db down")
    states = {n["userId"]: n["state"] for n in await world.notifications(incident["id"])}
    assert states[str(bo.user_id)] == "accepted"
    assert states[str(ana.user_id)] in ("failed", "withdrawn")
    explained = (await world.explained(incident["id"]))[str(ana.user_id)]
    assert explained["outcome"] in ("unreachable", "suppressed")


async def test_one_slow_device_delays_nobody_else(world: World) -> None:
    ana, _ = await world.two_responders()
    others = [await world.person(f"p{i}", "ios" if i % 2 else "android") for i in range(4)]
    people = [{"type": "user", "id": str(p.user_id)} for p in (ana, *others)]
    body = {"name": "Everybody", "levels": [{"timeoutMinutes": 30, "targets": people}]}
    policy = await world.admin.call("POST", "/escalation/policies", body)
    assert policy.status == 201, policy.body
    await world.simulate("apns", "hang", ana)
    world.vendors_answer_within(math.inf, "apns")  # what does not wait for it must get on without its end
    await world.settle()
    wish = {"title": "all hands", "priority": "critical", "policyId": policy.data["policy"]["id"]}
    assert (await world.admin.call("POST", "/incidents", wish)).status == 201
    for phone in others:
        await phone.expect_push("all hands")
    await world.simulate("apns", "ok", ana)
    await ana.expect_push("all hands")
    await world.fire_alert("unrelated", priority="high")
    await ana.expect_push("unrelated")
    assert "AttemptFailed" not in {event.name for event in await world.log("notifier")}, "it still hangs"


async def test_both_vendors_get_the_same_page_in_their_own_words(world: World) -> None:
    ana, bo = await world.person("ana", "ios"), await world.person("bo", "android")
    targets = [{"type": "user", "id": str(p.user_id)} for p in (ana, bo)]
    body = {"name": "Both", "levels": [{"timeoutMinutes": 5, "targets": targets}]}
    policy = (await world.admin.call("POST", "/escalation/policies", body)).data["policy"]
    wish = {"title": "db down", "description": "no answer", "priority": "critical", "policyId": policy["id"]}
    incident = (await world.admin.call("POST", "/incidents", wish)).data["incident"]
    apple, google = await ana.expect_push("db down"), await bo.expect_push("db down")
    aps, data = apple["payload"], google["payload"]["message"]["data"]
    assert aps["incidentId"] == data["incidentId"] == incident["id"]
    assert apple["headers"]["apns-collapse-id"] == incident["id"]
    assert aps["aps"]["interruption-level"] == "critical"
    assert "notification" not in google["payload"]["message"], "data only: the app shows it, also in the background"
    assert google["payload"]["message"]["android"]["priority"] == "HIGH"
    assert "collapse_key" not in json.dumps(google["payload"])
    notifications = {n["userId"]: n["id"] for n in await world.notifications(incident["id"])}
    assert notifications == {str(ana.user_id): notification_id(apple), str(bo.user_id): notification_id(google)}
    await bo.acknowledge(incident["id"])
    for phone, page in ((ana, apple), (bo, google)):
        replaced = await phone.expect_push("Acknowledged")
        assert notification_id(replaced) == notification_id(page)
