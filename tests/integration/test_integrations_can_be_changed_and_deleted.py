"""Integrations: their policy changes, their keys are replaced and revoked, and they go when nobody needs them."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from libs.contracts.defaults import ADMINS_POLICY_ID, DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID, OWN_INTEGRATION_ID
from libs.contracts.subjects import SERVICES
from services.incidents.dedup import key_hash
from services.incidents.inputs import Source
from services.incidents.integrations import note_use
from services.incidents.projections import incidents
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import Answer
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

PATH = "/integrations"


def _refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body
    error: dict[str, Any] = answer.body["error"]
    return error


async def _made(world: World, **more: Any) -> dict[str, Any]:
    answer = await world.admin.call("POST", PATH, {"name": "Prometheus"} | more)
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.data["integration"]
    return found


async def _shown(world: World, integration: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await world.admin.call("GET", f"{PATH}/{integration['id']}")).data["integration"]
    return found


async def _fires(world: World, key: str, title: str) -> dict[str, Any]:
    await world.fire_alert(title, routingKey=key, dedupKey=title)
    await world.settle()
    return await world.incident(title)


@pytest.mark.services(*SERVICES)
async def test_an_integration_is_changed_and_later_incidents_follow(world: World) -> None:
    made = await _made(world)
    assert (made["version"], made["keys"][0]["hint"]) == (2, made["key"][-4:])
    before = await _fires(world, made["key"], "before")
    await world.advance(minutes=1)
    change = {"name": "Prometheus 2", "policyId": str(ADMINS_POLICY_ID)}
    changed = await world.admin.call("PATCH", f"{PATH}/{made['id']}", change)
    assert changed.status == 200, changed.body
    integration = changed.data["integration"]
    assert integration == await _shown(world, made)
    assert integration["updatedAt"] > integration["createdAt"]
    after = await _fires(world, made["key"], "after")
    assert [one["policyId"] for one in (before, after)] == [None, str(ADMINS_POLICY_ID)]

    cleared = await world.admin.call("PATCH", f"{PATH}/{made['id']}", {"policyId": None})
    assert (cleared.data["integration"]["policyId"], cleared.data["integration"]["name"]) == (None, "Prometheus 2")
    assert (await _shown(world, made))["keys"][0]["lastUsedAt"] is not None
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}, "the log says the same"


async def test_a_key_is_replaced_while_senders_change_over(world: World) -> None:
    made = await _made(world)
    (old,) = made["keys"]
    await world.advance(minutes=1)  # of two keys of one moment neither is the older one
    added = await world.admin.call("POST", f"{PATH}/{made['id']}/keys", **{"Idempotency-Key": "rotate"})
    assert added.status == 201, added.body
    assert (
        await world.admin.call("POST", f"{PATH}/{made['id']}/keys", **{"Idempotency-Key": "rotate"})
    ).data == added.data
    new = added.data["key"]
    assert len(new["key"]) == 32
    third = _refused(await world.admin.call("POST", f"{PATH}/{made['id']}/keys"), 409, "CONFLICT")
    assert "revoke one" in third["message"]
    assert [one["id"] for one in third["details"]["keys"]] == [old["id"], new["id"]]
    for number, key in enumerate((made["key"], new["key"])):
        assert (await _fires(world, key, f"with key {number}"))["integrationId"] == made["id"]

    revoked = await world.admin.call("DELETE", f"{PATH}/{made['id']}/keys/{old['id']}")
    assert (revoked.status, revoked.data) == (200, {})
    assert [one["id"] for one in (await _shown(world, made))["keys"]] == [new["id"]]
    # Whoever still sends with it is heard, on the Default policy, and what was sent is kept.
    late = await _fires(world, made["key"], "with the old key")
    assert late["integrationId"] == str(DEFAULT_INTEGRATION_ID)
    assert "no integration has this key" in late["description"]
    assert len(await world.parked()) == 1
    assert (await _fires(world, new["key"], "with the new key"))["integrationId"] == made["id"]
    for unknown in (f"{made['id']}/keys/{old['id']}", f"{made['id']}/keys/{uuid4()}", f"{uuid4()}/keys/{new['id']}"):
        _refused(await world.admin.call("DELETE", f"{PATH}/{unknown}"), 404, "NOT_FOUND")
    logged = [e.name for e in await world.log("incidents") if str(e.entity) == made["id"]]
    assert logged == ["IntegrationCreated", "IntegrationKeyAdded", "IntegrationKeyAdded", "IntegrationKeyRevoked"]


async def test_the_last_use_of_a_key_is_noted_once_a_minute_and_brings_no_revoked_key_back(world: World) -> None:
    made = await _made(world)
    (key,) = made["keys"]
    assert key["lastUsedAt"] is None
    moments = []
    for seconds in (0, 59, 2):
        await world.advance(seconds=seconds)
        await _fires(world, made["key"], f"after {seconds} s")
        moments.append((await _shown(world, made))["keys"][0]["lastUsedAt"])
    assert moments[0] is not None
    assert (moments[1] == moments[0], moments[2] > moments[0]) == (True, True)

    assert (await world.admin.call("DELETE", f"{PATH}/{made['id']}/keys/{key['id']}")).status == 200
    # A batch of alerts that had found it before it was revoked.
    late = {key_hash(made["key"]): Source(UUID(made["id"]))}
    await world.services["incidents"].runtime.work.transact(lambda work: note_use(work, late))
    assert (await _shown(world, made))["keys"] == []


async def test_of_many_who_want_a_second_key_at_once_one_gets_it(world: World) -> None:
    made = await _made(world)
    answers = await asyncio.gather(*(world.admin.call("POST", f"{PATH}/{made['id']}/keys") for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [201, 409, 409, 409, 409]


async def test_an_integration_goes_when_nobody_works_on_what_came_by_it(world: World) -> None:
    made = await _made(world)
    incident = await _fires(world, made["key"], "still burning")
    path = f"{PATH}/{made['id']}"
    refused = _refused(await world.admin.call("DELETE", path), 409, "CONFLICT")
    number = f"#{incident['number']}"
    used_by = [{"type": "incident", "id": incident["id"], "name": number}]
    assert refused["details"] == {"usedBy": used_by, "total": 1}
    # Also where an older release has written its row.
    old = update(incidents).values(integration_id=None)
    await world.services["incidents"].runtime.work.transact(lambda work: work.fetch(old))
    assert _refused(await world.admin.call("DELETE", path), 409, "CONFLICT")["details"]["usedBy"] == used_by
    assert (await world.admin.call("POST", f"/incidents/{incident['id']}/resolve")).status == 200

    version = (await _shown(world, made))["version"]
    await world.admin.call("PATCH", path, {"name": "Renamed meanwhile"})
    stale = await world.admin.call("DELETE", path, **{"If-Match": f'"{version}"'})
    _refused(stale, 412, "PRECONDITION_FAILED")
    gone = await world.admin.call("DELETE", path, **{"If-Match": stale.headers["ETag"]})
    assert (gone.status, gone.data) == (200, {})
    for method in ("GET", "DELETE"):
        _refused(await world.admin.call(method, path), 404, "NOT_FOUND")
    _refused(await world.admin.call("PATCH", path, {"name": "x"}), 404, "NOT_FOUND")
    _refused(await world.admin.call("POST", f"{path}/keys"), 404, "NOT_FOUND")
    listed = (await world.admin.call("GET", PATH)).data["integrations"]
    assert {one["id"] for one in listed} == {str(DEFAULT_INTEGRATION_ID), str(OWN_INTEGRATION_ID)}
    late = await _fires(world, made["key"], "after it was deleted")
    assert (late["integrationId"], len(await world.parked())) == (str(DEFAULT_INTEGRATION_ID), 1)
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}, "the log says the same"


@pytest.mark.services(*SERVICES)
async def test_what_pager_needs_stays_and_only_leads_change_anything(world: World) -> None:
    ana = await world.person("ana")
    made = await _made(world)
    for fixed in (DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID):
        _refused(await world.admin.call("DELETE", f"{PATH}/{fixed}"), 409, "CONFLICT")
        _refused(
            await world.admin.call("PATCH", f"{PATH}/{fixed}", {"policyId": str(DEFAULT_POLICY_ID)}), 409, "CONFLICT"
        )
    path, key = f"{PATH}/{made['id']}", made["keys"][0]["id"]
    for method, where, body in (
        ("PATCH", path, {"name": "x"}),
        ("DELETE", path, None),
        ("POST", f"{path}/keys", None),
        ("DELETE", f"{path}/keys/{key}", None),
    ):
        _refused(await ana.call(method, where, body), 403, "FORBIDDEN")
    assert await _shown(world, made) == {k: v for k, v in made.items() if k != "key"} | {"key": None}
