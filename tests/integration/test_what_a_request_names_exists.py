"""What a request names of other services exists, also when it was made a moment ago; and an alert pages in any case."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from libs.contracts.defaults import DEFAULT_POLICY_ID
from services.gateway.app import Api
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import PASSWORD, Answer
from tests.world import World

NOBODY = str(uuid4())
NO_TEAMS = "There are no teams yet"
PERSON = {"email": "new@pager.test", "password": PASSWORD, "firstName": "New", "lastName": "One", "roles": ["user"]}
LAYER = {"start": "2026-01-05T09:00", "participants": [NOBODY]}


def _level(**target: str) -> dict[str, Any]:
    return {"name": "x", "levels": [{"timeoutMinutes": 5, "targets": [target]}]}


def _refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body
    error: dict[str, Any] = answer.body["error"]
    return error


async def test_what_is_nobody_and_nothing_is_refused_with_its_field_wherever_it_is_named(
    world: World, subtests: pytest.Subtests
) -> None:
    ana = await world.person("ana")
    integration = (await world.admin.call("POST", "/integrations", {"name": "Shop"})).data["integration"]
    mine, policy = f"/integrations/{integration['id']}", f"/escalation/policies/{DEFAULT_POLICY_ID}"
    incident = {"title": "it burns"}
    cases = (
        ("POST", "/incidents", incident | {"assignedTo": NOBODY}, "assignedTo", "there is no such person"),
        ("POST", "/incidents", incident | {"policyId": NOBODY}, "policyId", "there is no such policy"),
        ("POST", "/incidents", incident | {"teamId": NOBODY}, "teamId", NO_TEAMS),
        ("POST", "/integrations", {"name": "x", "policyId": NOBODY}, "policyId", "there is no such policy"),
        ("POST", "/integrations", {"name": "x", "teamId": NOBODY}, "teamId", NO_TEAMS),
        ("PATCH", mine, {"policyId": NOBODY}, "policyId", "there is no such policy"),
        ("PATCH", mine, {"teamId": NOBODY}, "teamId", NO_TEAMS),
        ("POST", "/escalation/policies", _level(type="user", id=NOBODY), "levels.0.targets.0.id", "there is no such"),
        ("PATCH", policy, _level(type="schedule", id=NOBODY), "levels.0.targets.0.id", "there is no such"),
        ("POST", "/escalation/policies", _level(type="team", id=NOBODY), "levels.0.targets.0.id", NO_TEAMS),
        ("POST", "/users", PERSON | {"teamIds": [NOBODY]}, "teamIds.0", NO_TEAMS),
        ("POST", "/on-call/schedules", {"name": "x", "layers": [LAYER]}, "layers.0.participants.0", "no such person"),
    )
    for method, path, body, field, words in cases:
        with subtests.test(method=method, path=path, field=field):
            error = _refused(await world.admin.call(method, path, body), 400, "VALIDATION_ERROR")
            assert error["details"]["field"] == field
            assert words in error["details"]["reason"]
    _refused(await ana.call("GET", f"/incidents?assignedTo={NOBODY}"), 404, "NOT_FOUND")
    assert await world.incidents() == []


async def test_whatever_a_path_names_and_is_not_there_is_404(world: World, subtests: pytest.Subtests) -> None:
    hour = {"startTime": "2030-01-01T00:00:00Z", "endTime": "2030-01-01T01:00:00Z"}
    bodies = {"addOverride": hour | {"userId": str(world.admin.user_id)}}
    queries = {"listShifts": "?from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z"}
    walked = set()
    for path, verbs in Api().openapi()["paths"].items():
        for verb, operation in verbs.items():
            uuids = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "path" and _is_uuid(p)]
            if not uuids:
                continue
            name = operation["operationId"]
            walked.add(name)
            where = path.removeprefix("/api/v1").format(**dict.fromkeys(uuids, NOBODY)) + queries.get(name, "")
            body = bodies.get(name, {} if verb == "patch" else None)
            with subtests.test(operation=name):
                _refused(await world.admin.call(verb.upper(), where, body), 404, "NOT_FOUND")
    assert {"getIncident", "addOverride", "deletePolicy", "revokeIntegrationKey"} < walked


def _is_uuid(parameter: dict[str, Any]) -> bool:
    return bool(parameter["schema"].get("format") == "uuid")


async def test_what_was_made_a_moment_ago_is_known(world: World) -> None:
    policy = await world.admin.call("POST", "/escalation/policies", _level(type="role", role="admin"))
    policy_id = policy.data["policy"]["id"]
    made = await world.admin.call("POST", "/users", PERSON)
    user_id = made.data["user"]["id"]
    body = {"title": "it burns", "policyId": policy_id, "assignedTo": user_id}
    opened = await world.admin.call("POST", "/incidents", body)
    assert opened.status == 201, opened.body
    assert (await world.admin.call("GET", f"/incidents?assignedTo={user_id}")).status == 200
    for method, path in (("POST", "/integrations"), ("PATCH", "/integrations/{}")):
        answer = await world.admin.call(method, path.format(opened_id(opened)), {"name": "x", "policyId": policy_id})
        assert answer.status == (201 if method == "POST" else 404), answer.body
    await world.settle()
    assert differences(await rebuilt(world, "incidents", swap=False)) == {}, "the log says the same"


def opened_id(answer: Answer) -> str:
    return str(answer.data["incident"]["id"])


async def test_in_doubt_an_incident_is_opened_and_anything_else_waits(world: World) -> None:
    """Whoever owns policies is away: what was made there lately is not known here."""
    await world.stop("escalation")
    opened = await world.admin.call("POST", "/incidents", {"title": "it burns", "policyId": NOBODY})
    assert opened.status == 201, opened.body
    refused = await world.admin.call("POST", "/integrations", {"name": "x", "policyId": NOBODY})
    _refused(refused, 503, "UNAVAILABLE")
    assert "Retry-After" in refused.headers
    known = await world.admin.call("POST", "/integrations", {"name": "x", "policyId": str(DEFAULT_POLICY_ID)})
    assert known.status == 201, "what is known needs nobody"

    await world.start("escalation")
    await world.settle()
    timeline = await world.timeline(opened_id(opened))
    assert any(f"policy {NOBODY} does not exist: Default is used" in entry["summary"] for entry in timeline)
