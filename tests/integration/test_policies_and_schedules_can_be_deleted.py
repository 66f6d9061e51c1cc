"""Policies and schedules go when nothing needs them, and whoever deletes too early is told what does; never silence."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import AsyncConnection

from libs.contracts.defaults import ADMINS_POLICY_ID, DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.envelope import Actor
from services.escalation.deciders import POLICY
from services.escalation.domain.policies import DeletePolicy
from services.oncall.application import SCHEDULE
from services.oncall.commands import DeleteSchedule
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Answer, Phone
from tests.world import World

POLICIES, SCHEDULES = "/escalation/policies", "/on-call/schedules"


def _refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body
    error: dict[str, Any] = answer.body["error"]
    return error


async def _made(world: World, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await world.admin.call("POST", path, body)
    assert answer.status == 201, answer.body
    (found,) = answer.data.values()
    return dict(found)


async def _policy(world: World, *targets: dict[str, Any], name: str = "Nights") -> dict[str, Any]:
    levels = [{"timeoutMinutes": 5, "targets": [target]} for target in targets]
    return await _made(world, POLICIES, {"name": name, "levels": levels})


async def _schedule(world: World, person: Phone, name: str = "Second") -> dict[str, Any]:
    layer = {"start": "2026-01-05T09:00", "participants": [str(person.user_id)]}
    return await _made(world, SCHEDULES, {"name": name, "layers": [layer]})


def _user(person: Phone) -> dict[str, Any]:
    return {"type": "user", "id": str(person.user_id)}


async def _log_is_as_tables(world: World) -> None:
    await world.settle()
    for service in ("incidents", "escalation", "oncall"):
        assert differences(await rebuilt(world, service, swap=False)) == {}, service


async def test_a_policy_goes_when_neither_an_integration_nor_an_incident_needs_it(world: World) -> None:
    ana = await world.person("ana")
    policy = await _policy(world, _user(ana))
    path = f"{POLICIES}/{policy['id']}"
    integration = await _made(world, "/integrations", {"name": "Shop", "policyId": policy["id"]})
    # Without waiting for anything: what has been made by now counts.
    refused = _refused(await world.admin.call("DELETE", path), 409, "CONFLICT")
    assert refused["message"] == 'it is still used by integration "Shop"'
    used_by = {"type": "integration", "id": integration["id"], "name": "Shop"}
    assert refused["details"] == {"usedBy": [used_by], "total": 1}

    await world.fire_alert("it burns", routingKey=integration["key"], priority="critical")
    await ana.expect_push("it burns")
    incident = await world.incident("it burns")
    assert (await world.admin.call("PATCH", f"/integrations/{integration['id']}", {"policyId": None})).status == 200
    refused = _refused(await world.admin.call("DELETE", path), 409, "CONFLICT")
    assert refused["message"] == f"it is still used by incident #{incident['number']}"
    assert (await ana.acknowledge(incident["id"])).status == 200
    await world.settle()

    gone = await world.admin.call("DELETE", path)
    assert (gone.status, gone.data) == (200, {})
    for method, body in (("GET", None), ("DELETE", None), ("PATCH", {"name": "x"})):
        _refused(await world.admin.call(method, path, body), 404, "NOT_FOUND")
    listed = (await world.admin.call("GET", POLICIES)).data["policies"]
    assert {one["id"] for one in listed} == {str(DEFAULT_POLICY_ID), str(ADMINS_POLICY_ID)}
    await _log_is_as_tables(world)


async def test_a_policy_that_goes_while_its_incident_comes_is_replaced_by_default(world: World) -> None:
    ana, bo = await world.two_responders()
    policy = await _policy(world, _user(bo))
    integration = await _made(world, "/integrations", {"name": "Shop", "policyId": policy["id"]})
    # Nobody has told escalation of the integration when it decides.
    store = world.services["escalation"].runtime.work
    await store.transact(
        lambda work: work.decide(POLICY, UUID(policy["id"]), DeletePolicy(), work.begin(Actor.service("test")))
    )
    await world.settle()
    await world.fire_alert("it burns", routingKey=integration["key"], priority="critical")
    await ana.expect_push("it burns")
    timeline = await world.timeline((await world.incident("it burns"))["id"])
    assert any(f"policy {policy['id']} was deleted: Default is used" in entry["summary"] for entry in timeline)


async def test_a_schedule_goes_when_no_policy_pages_it(world: World) -> None:
    ana = await world.person("ana")
    schedule = await _schedule(world, ana)
    path = f"{SCHEDULES}/{schedule['id']}"
    policy = await _policy(world, {"type": "schedule", "id": schedule["id"]}, _user(ana))
    refused = _refused(await world.admin.call("DELETE", path), 409, "CONFLICT")
    assert refused["message"] == 'it is still used by policy "Nights"'
    assert refused["details"]["usedBy"] == [{"type": "policy", "id": policy["id"], "name": "Nights"}]
    change = {"levels": [{"timeoutMinutes": 5, "targets": [_user(ana)]}]}
    assert (await world.admin.call("PATCH", f"{POLICIES}/{policy['id']}", change)).status == 200

    gone = await world.admin.call("DELETE", path)
    assert (gone.status, gone.data) == (200, {})
    shifts = "shifts?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z"
    for method, where, body in (
        ("GET", path, None),
        ("DELETE", path, None),
        ("PATCH", path, {"name": "x"}),
        ("GET", f"{path}/{shifts}", None),
        ("GET", f"{path}/overrides", None),
    ):
        _refused(await world.admin.call(method, where, body), 404, "NOT_FOUND")
    listed = (await world.admin.call("GET", SCHEDULES)).data["schedules"]
    assert [one["id"] for one in listed] == [str(DEFAULT_SCHEDULE_ID)]
    again = _refused(
        await world.admin.call("POST", POLICIES, {"name": "x", "levels": [
            {"timeoutMinutes": 5, "targets": [{"type": "schedule", "id": schedule["id"]}]}
        ]}), 400, "VALIDATION_ERROR"
    )  # fmt: skip
    assert again["details"]["field"] == "levels.0.targets.0.id"
    await _log_is_as_tables(world)


async def test_a_schedule_that_goes_while_a_policy_comes_to_page_it_is_passed_with_a_reason(world: World) -> None:
    ana = await world.person("ana")
    schedule = await _schedule(world, ana)
    policy = await _policy(world, {"type": "schedule", "id": schedule["id"]}, _user(ana))
    # Nobody has told oncall of the policy when it decides.
    store = world.services["oncall"].runtime.work
    await store.transact(
        lambda work: work.decide(SCHEDULE, UUID(schedule["id"]), DeleteSchedule(), work.begin(Actor.service("test")))
    )
    await world.settle()
    body = {"title": "it burns", "priority": "critical", "policyId": policy["id"]}
    assert (await world.admin.call("POST", "/incidents", body)).status == 201
    await ana.expect_push("it burns")
    timeline = await world.timeline((await world.incident("it burns"))["id"])
    assert any(f"there is no schedule {schedule['id']}" in entry["summary"] for entry in timeline)
    await _log_is_as_tables(world)


async def test_nothing_goes_while_nobody_can_say_what_needs_it(world: World) -> None:
    ana = await world.person("ana")
    policy, schedule = await _policy(world, _user(ana)), await _schedule(world, ana)
    await world.settle()
    for owner, path in (("incidents", f"{POLICIES}/{policy['id']}"), ("escalation", f"{SCHEDULES}/{schedule['id']}")):
        await world.stop(owner)
        refused = await world.admin.call("DELETE", path)
        _refused(refused, 503, "UNAVAILABLE")
        assert "Retry-After" in refused.headers
        await world.start(owner)
        await world.settle()
        assert (await world.admin.call("DELETE", path)).status == 200


@pytest.mark.parametrize(
    ("table", "path"),
    [("escalation.integrations", POLICIES), ("oncall.policies", SCHEDULES)],
    ids=["policy", "schedule"],
)
async def test_nothing_goes_where_a_replica_was_made_beside_older_events(world: World, table: str, path: str) -> None:
    """As after an update: until it is rebuilt, it knows not even what every installation has."""
    ana = await world.person("ana")
    made = await _policy(world, _user(ana)) if path == POLICIES else await _schedule(world, ana)
    await world.settle()
    url = world.servers.database_url("superuser", world.database)
    async with await AsyncConnection.connect(url, autocommit=True) as session:
        await session.execute(f"DELETE FROM {table}".encode())  # noqa: S608
    _refused(await world.admin.call("DELETE", f"{path}/{made['id']}"), 503, "UNAVAILABLE")
    await rebuilt(world, table.partition(".")[0])
    assert (await world.admin.call("DELETE", f"{path}/{made['id']}")).status == 200


async def test_what_pager_needs_stays_and_only_leads_delete(world: World) -> None:
    ana = await world.person("ana")
    policy, schedule = await _policy(world, _user(ana)), await _schedule(world, ana)
    for needed in (DEFAULT_POLICY_ID, ADMINS_POLICY_ID):
        _refused(await world.admin.call("DELETE", f"{POLICIES}/{needed}"), 409, "CONFLICT")
    refused = _refused(await world.admin.call("DELETE", f"{SCHEDULES}/{DEFAULT_SCHEDULE_ID}"), 409, "CONFLICT")
    assert refused["message"] == 'it is still used by policy "Admins" and policy "Default"'
    for path, one in ((POLICIES, policy), (SCHEDULES, schedule)):
        _refused(await ana.call("DELETE", f"{path}/{one['id']}"), 403, "FORBIDDEN")
        _refused(await world.admin.call("DELETE", f"{path}/{uuid4()}"), 404, "NOT_FOUND")
        stale = await world.admin.call("DELETE", f"{path}/{one['id']}", **{"If-Match": '"99"'})
        _refused(stale, 412, "PRECONDITION_FAILED")
        assert (await world.admin.call("DELETE", f"{path}/{one['id']}", **{"If-Match": '"1"'})).status == 200
