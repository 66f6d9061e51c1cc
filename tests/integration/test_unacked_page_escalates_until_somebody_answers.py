"""Nobody on call is never silence, and a page goes on until somebody acknowledges it (promise 9)."""

from __future__ import annotations

from datetime import timedelta

from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from tests.phone import PASSWORD, Phone, notification_id
from tests.world import World


async def _schedule(world: World, *names: str, starts_in: timedelta = timedelta(hours=-1)) -> None:
    """The Primary On-Call schedule has these people, from then on; without names nobody at all."""
    start = (world.clock.now() + starts_in).replace(tzinfo=None).isoformat(timespec="minutes")
    people = [str(world.phone(n).user_id) for n in names]
    layers = [{"rotationType": "weekly", "start": start, "participants": people}] if names else []
    answer = await world.admin.call("PATCH", f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}", {"layers": layers})
    assert answer.status == 200, answer.body
    await world.settle()


async def _due_reason(world: World, title: str) -> str:
    """What the newest level that fired for an incident says about itself in the timeline."""
    await world.settle()
    incident = await world.incident(title)
    return str([e["summary"] for e in await world.timeline(incident["id"]) if e["type"] == "EscalationDue"][-1])


async def test_with_nobody_on_call_the_next_participant_then_leads_then_admins_are_paged_and_told_why(
    world: World,
) -> None:
    ana = await world.person("ana", "ios")
    await _schedule(world, "ana", starts_in=timedelta(hours=2))
    await world.fire_alert("before her shift", priority="critical")
    await ana.expect_push("before her shift")
    reason = await _due_reason(world, "before her shift")
    assert "nobody is on call" in reason
    assert "next participant" in reason

    chief = await world.person("chief", roles=("user", "admin"))
    await _schedule(world)
    await world.fire_alert("nobody at all", priority="critical")
    await chief.expect_push("nobody at all")
    assert "nobody is or will be on call" in await _due_reason(world, "nobody at all")

    lead = await world.person("lena", roles=("user", "lead"))
    await world.settle()
    await world.fire_alert("leads first", priority="critical")
    await lead.expect_push("leads first")
    assert "role:lead" in await _due_reason(world, "leads first")
    await chief.expect_no_push()
    await ana.expect_no_push()


async def test_a_policy_repeats_then_pages_admins_and_then_its_last_level_every_half_hour(world: World) -> None:
    ana, bo = await world.person("ana", "ios"), await world.person("bo")
    chief = await world.person("chief", roles=("user", "admin"))
    await world.on_call("ana")
    await world.policy((1, "on-call"), (1, "bo"), repeat=1)
    await world.fire_alert("db down", priority="critical")
    order: list[Phone] = [ana, bo, ana, bo, chief]
    pages = []
    for person in order:
        pages.append(await person.expect_push("db down"))
        for other in {id(p): p for p in order if p is not person}.values():
            await other.expect_no_push()
        await world.advance(minutes=1)
    assert len({notification_id(page) for page in pages}) == 5, "a repeat is a page of its own, not a replacement"
    incident = await world.incident()
    assert (incident["status"], incident["escalation"]["exhausted"]) == ("escalated", True)

    for _half_hour in range(3):
        await world.advance(minutes=28)
        await bo.expect_no_push()
        await world.advance(minutes=2)
        await bo.expect_push("db down")
    assert (await bo.acknowledge(incident["id"])).status == 200
    await bo.expect_push("Acknowledged")
    for _hour in range(3):
        await world.advance(minutes=60)
    types = [e["type"] for e in await world.timeline(incident["id"])]
    assert types.count("EscalationExhausted") == 1
    assert types.count("EscalationDue") == 4 + 3
    assert types.count("EscalationCancelled") == 1


async def test_time_outs_follow_the_incidents_priority_and_the_callers_wish(world: World) -> None:
    ana, bo = await world.two_responders()
    levels = [
        {
            "timeoutMinutes": 30,
            "timeoutMinutesByPriority": {"critical": 0.5, "low": 60},
            "targets": [{"type": "user", "id": str(person.user_id)}],
        }
        for person in (ana, bo)
    ]
    changed = await world.admin.call("PATCH", f"/escalation/policies/{DEFAULT_POLICY_ID}", {"levels": levels})
    assert changed.status == 200, changed.body
    await world.settle()
    for priority in ("critical", "high", "low"):
        await world.fire_alert(f"it is {priority}", priority=priority)
        await ana.expect_push()
    wish = {"title": "it is urgent to me", "priority": "low", "escalationTimeoutMinutes": 10}
    assert (await ana.call("POST", "/incidents", wish)).status == 201
    await ana.expect_push("urgent to me")
    shown = {"it is critical": 0.5, "it is high": 30, "it is low": 60, "it is urgent to me": 10}
    await world.eventually(
        world.incidents,
        lambda found: {i["title"]: i["escalationTimeoutMinutes"] for i in found} == shown,
        "what the policy does is shown",
    )
    for minutes, words in ((0.6, "it is critical"), (9.5, "urgent to me"), (20, "it is high"), (30, "it is low")):
        await bo.expect_no_push()
        await world.advance(minutes=minutes)
        # A critical incident goes round and round meanwhile: it is taken as soon as it has been seen.
        push = await bo.expect_push(words)
        done = await bo.acknowledge(push["payload"]["message"]["data"]["incidentId"])
        assert done.status == 200
        await bo.expect_push("Acknowledged")
        await ana.expect_push("Acknowledged")


async def test_an_acknowledgement_before_anybody_was_paged_suppresses_the_page(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.stop("notifier")
    await world.fire_alert("db down", priority="critical")
    incident = await world.incident()
    await world.eventually(
        lambda: world.log("escalation", "EscalationDue"), lambda e: len(e) == 1, "a level that fires"
    )
    world.clock.advance(seconds=3)  # a page this old is not sent before all acknowledgements are read
    assert (await bo.acknowledge(incident["id"])).status == 200
    await world.start("notifier")
    await world.advance(minutes=30)
    await ana.expect_no_push()
    await bo.expect_no_push()
    person = (await world.explained(incident["id"]))[str(ana.user_id)]
    assert (person["outcome"], person["reason"]) == ("suppressed", "not pushed: acknowledged")


async def test_resolving_and_closing_end_the_paging_and_replace_what_phones_show(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", dedupKey="db", priority="critical")
    first = await ana.expect_push("db down")
    await world.advance(minutes=5)
    second = await bo.expect_push("db down")
    incident = await world.incident()
    path = f"/incidents/{incident['id']}"
    assert (await bo.call("POST", f"{path}/close", {})).status == 409, "only what is resolved can be closed"
    assert (await bo.call("POST", f"{path}/resolve", {"notes": "disk added"})).status == 200
    for phone, page in ((ana, first), (bo, second)):
        replaced = await phone.expect_push("Resolved")
        assert notification_id(replaced) == notification_id(page), "the same notification, silently replaced"
    assert (await bo.call("POST", f"{path}/resolve", {})).status == 200, "a repeat changes nothing"
    assert (await bo.acknowledge(incident["id"])).status == 409
    closed = await ana.call("POST", f"{path}/close", {"notes": "post-mortem written"})
    assert (closed.data["incident"]["status"], closed.data["incident"]["closedBy"]) == ("closed", str(ana.user_id))
    await world.advance(minutes=120)
    await ana.expect_no_push()
    await bo.expect_no_push()
    types = [e["type"] for e in await world.timeline(incident["id"])]
    assert types.count("IncidentResolved") == types.count("IncidentClosed") == 1


async def test_everyone_concerned_can_be_explained_by_a_chain_of_causes(world: World) -> None:
    ana, bo = await world.two_responders()
    ghost = await world.admin.call(
        "POST",
        "/users",
        {"email": "g@pager.test", "password": PASSWORD, "firstName": "G", "lastName": "H", "roles": ["user"]},
    )
    ghost_id = ghost.data["user"]["id"]
    people = [[str(ana.user_id), ghost_id], [str(bo.user_id)]]
    levels = [{"timeoutMinutes": 5, "targets": [{"type": "user", "id": i} for i in ids]} for ids in people]
    await world.admin.call("PATCH", f"/escalation/policies/{DEFAULT_POLICY_ID}", {"levels": levels})
    await world.simulate("fcm", "UNAVAILABLE", bo)
    await world.settle()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await world.advance(minutes=5)
    incident = await world.incident()
    bystander = await world.person("carl")
    explained = await world.explained(incident["id"])
    assert {u: p["outcome"] for u, p in explained.items()} == {
        str(ana.user_id): "paged",
        ghost_id: "unreachable",
        str(bo.user_id): "not_paged",
    }
    assert explained[ghost_id]["reason"] == "cannot be reached: no device"
    await ana.acknowledge(incident["id"])
    await world.settle()
    explained = await world.explained(incident["id"])
    assert explained[str(bo.user_id)]["outcome"] == "suppressed"
    one = await world.admin.call("GET", f"/incidents/{incident['id']}/explain?userId={bystander.user_id}")
    assert [p["outcome"] for p in one.data["people"]] == ["not_paged"]
    for person in explained.values():
        types = [link["type"] for link in person["chain"]]
        assert types[:2] == ["IncidentCreated", "EscalationStarted"]
        assert "EscalationDue" in types
    assert "NotificationAccepted" in [link["type"] for link in explained[str(ana.user_id)]["chain"]]


async def test_the_timeline_is_oldest_first_and_a_cause_stands_before_its_effect(world: World) -> None:
    ana, bo = await world.two_responders()
    for _repeat in range(3):
        await world.fire_alert("db down", dedupKey="db", priority="critical")
    await ana.expect_push("db down")
    await world.advance(minutes=5)
    await bo.expect_push("db down")
    incident = await world.incident()
    await bo.acknowledge(incident["id"], "on it")
    await world.admin.call("POST", f"/incidents/{incident['id']}/resolve", {})
    await world.settle()
    entries = await world.timeline(incident["id"])
    assert [e["at"] for e in entries] == sorted(e["at"] for e in entries)
    place = {e["eventId"]: i for i, e in enumerate(entries)}
    assert len(place) == len(entries)
    caused = [e for e in entries if e["causationId"] in place]
    assert len(caused) > 8
    assert all(place[e["causationId"]] < place[e["eventId"]] for e in caused)
    assert entries[0]["type"] == "IncidentCreated"
    order = [e["type"] for e in entries]
    assert order.index("IncidentAcknowledged") < order.index("IncidentResolved")
    assert {e["actor"]["kind"] for e in entries} == {"integration", "service", "user"}
