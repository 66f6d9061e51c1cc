"""What a request names of other services exists, also when it was made a moment ago; and an alert pages in any case."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.features import Feature
from services.auth.registration import admin_id
from services.gateway.app import Api
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import PASSWORD, Answer
from tests.world import ADMIN, World

NOBODY = str(uuid4())
NO_TEAM = "here is no such team"
PERSON = {"email": "new@pager.test", "password": PASSWORD, "firstName": "New", "lastName": "One", "roles": ["user"]}
LAYER = {"start": "2026-01-05T09:00", "participants": [NOBODY]}


def _level(**target: str) -> dict[str, Any]:
    return {"name": "x", "levels": [{"timeoutMinutes": 5, "targets": [target]}]}


def _refused(answer: Answer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.body["error"]["code"]) == (status, code), answer.body
    error: dict[str, Any] = answer.body["error"]
    return error


TOMORROW = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
"""The world's clock begins now, and an override at most a year later."""
INCIDENT = {"title": "it burns"}
HOUR = {"startTime": TOMORROW.isoformat(), "endTime": (TOMORROW + timedelta(hours=1)).isoformat()}
ME = {"userId": str(admin_id(ADMIN))}
NO_PERSON, NO_POLICY, NO_TARGET = (
    "there is no such person",
    "there is no such policy",
    "there is no such user, schedule or team",
)
SCHEDULE, POLICY = "/on-call/schedules/{id}", "/escalation/policies/{id}"
REVIEW, ITEM = "/incidents/{id}/review", {"text": "alert on the disk earlier"}
PEOPLE, TARGET = "layers.0.participants.0", "levels.0.targets.0.id"
ADMINS = _level(type="role", role="admin")
BODIES: tuple[tuple[str, str, dict[str, Any], str, str], ...] = (
    ("POST", "/incidents", INCIDENT | {"assignedTo": NOBODY}, "assignedTo", NO_PERSON),
    ("POST", "/incidents", INCIDENT | {"policyId": NOBODY}, "policyId", NO_POLICY),
    ("POST", "/incidents", INCIDENT | {"teamId": NOBODY}, "teamId", NO_TEAM),
    ("POST", "/incidents/{id}/reassign", {"assignedTo": NOBODY}, "assignedTo", NO_PERSON),
    ("POST", "/incidents/{id}/responders", {"userIds": [NOBODY]}, "userIds.0", NO_PERSON),
    ("POST", "/integrations", {"name": "x", "policyId": NOBODY}, "policyId", NO_POLICY),
    ("POST", "/integrations", {"name": "x", "teamId": NOBODY}, "teamId", NO_TEAM),
    ("PATCH", "/integrations/{id}", {"policyId": NOBODY}, "policyId", NO_POLICY),
    ("PATCH", "/integrations/{id}", {"teamId": NOBODY}, "teamId", NO_TEAM),
    ("POST", "/escalation/policies", _level(type="user", id=NOBODY), TARGET, NO_TARGET),
    ("POST", "/escalation/policies", _level(type="team", id=NOBODY), TARGET, NO_TARGET),
    ("POST", "/escalation/policies", ADMINS | {"teamId": NOBODY}, "teamId", NO_TEAM),
    ("PATCH", POLICY, {"teamId": NOBODY}, "teamId", NO_TEAM),
    ("POST", "/on-call/schedules", {"name": "x", "teamId": NOBODY}, "teamId", NO_TEAM),
    ("PATCH", SCHEDULE, {"teamId": NOBODY}, "teamId", NO_TEAM),
    ("POST", "/teams/{id}/members", {"userId": NOBODY}, "userId", NO_PERSON),
    ("PATCH", POLICY, _level(type="schedule", id=NOBODY), TARGET, NO_TARGET),
    ("POST", "/users", PERSON | {"teamIds": [NOBODY]}, "teamIds.0", NO_TEAM),
    ("PATCH", "/users/{id}", {"teamIds": [NOBODY]}, "teamIds.0", NO_TEAM),
    ("POST", "/invites", {"email": "new@pager.test", "teamIds": [NOBODY]}, "teamIds.0", NO_TEAM),
    ("POST", "/api-keys", {"name": "x", "scopes": ["incidents.read"], "teamId": NOBODY}, "teamId", NO_TEAM),
    ("POST", "/on-call/schedules", {"name": "x", "layers": [LAYER]}, PEOPLE, NO_PERSON),
    ("PATCH", SCHEDULE, {"layers": [LAYER]}, PEOPLE, NO_PERSON),
    ("PATCH", REVIEW, {"actionItems": [ITEM | {"ownerId": NOBODY}]}, "actionItems.0.ownerId", NO_PERSON),
    ("PATCH", REVIEW, {"actionItems": [ITEM | {"id": NOBODY}]}, "actionItems.0.id", "there is no such action item"),
    ("PUT", "/admin/features/{flag}", {"enabled": True, "userIds": [NOBODY]}, "userIds.0", NO_PERSON),
    ("POST", f"{SCHEDULE}/overrides", HOUR | {"userId": NOBODY}, "userId", NO_PERSON),
    ("POST", f"{SCHEDULE}/overrides", HOUR | ME | {"replaces": NOBODY}, "replaces", NO_PERSON),
)
"""Every field of a body that names something of another resource: method, path, body, field, and what is said."""
IN_RESULTS = {("POST", "/incidents/bulk", "assignedTo")}
"""But these: the result of each incident says it."""
FILTERS = (
    ("/incidents", "assigned_to"),
    ("/incidents", "assignedTo"),
    ("/incidents", "teamId"),
    ("/incidents", "integrationId"),
    ("/incidents/{id}/explain", "userId"),
    ("/notifications", "incidentId"),
    ("/on-call", "scheduleId"),
    ("/on-call/schedules", "teamId"),
    ("/escalation/policies", "teamId"),
    ("/on-call/current", "scheduleId"),
    *((f"/analytics/{numbers}", "teamId") for numbers in ("summary", "response", "load", "noise")),
)
"""Every parameter of a query that does."""
TRACES = {("/audit", "actorId")}
"""But these: whoever is gone has left traces, and a machine is no person."""


async def test_what_is_nobody_and_nothing_is_refused_with_its_field_wherever_it_is_named(
    world: World, subtests: pytest.Subtests
) -> None:
    integration = (await world.admin.call("POST", "/integrations", {"name": "Shop"})).data["integration"]
    of = {"/integrations": integration["id"], "/escalation": DEFAULT_POLICY_ID, "/on-call": DEFAULT_SCHEDULE_ID}
    team = (await world.admin.call("POST", "/teams", {"name": "Core"})).data["team"]
    opened = opened_id(await world.admin.call("POST", "/incidents", INCIDENT))
    for verb in ("resolve", "review"):
        assert (await world.admin.call("POST", f"/incidents/{opened}/{verb}")).status in (200, 201)
    of |= {"/users": admin_id(ADMIN), "/teams": team["id"], "/incidents": opened}
    for method, path, body, field, words in BODIES:
        with subtests.test(method=method, path=path, field=field):
            named = next((one for kind, one in of.items() if path.startswith(kind)), None)
            concrete = path.format(id=named, flag=Feature.BULK)
            error = _refused(await world.admin.call(method, concrete, body), 400, "VALIDATION_ERROR")
            assert error["details"]["field"] == field
            assert words in error["details"]["reason"]
    assert [incident["id"] for incident in await world.incidents()] == [opened]
    for path, name in FILTERS:
        with subtests.test(path=path, name=name):
            asked = f"{path.format(id=opened)}?{name}={NOBODY}"
            _refused(await world.admin.call("GET", asked), 404, "NOT_FOUND")


def test_no_field_or_parameter_that_names_something_is_forgotten_here() -> None:
    document = Api().openapi()
    fields, parameters = set(), set()
    for path, verbs in document["paths"].items():
        where = path.removeprefix("/api/v1")
        for verb, operation in verbs.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields |= {(verb.upper(), where, field) for field in _uuids(body, document)}
            parameters |= {
                (where, p["name"]) for p in operation.get("parameters", ()) if p["in"] == "query" and _is_uuid(p)
            }
    assert fields == {(method, path, field) for method, path, _, field, _ in BODIES} | IN_RESULTS
    assert parameters == set(FILTERS) | TRACES


def _uuids(schema: dict[str, Any], document: dict[str, Any], path: str = "") -> Iterator[str]:
    """Dotted paths of all that is a UUID."""
    for one in (schema, *schema.get("anyOf", ())):
        name = one.get("$ref", "").rpartition("/")[2]
        known = document["components"]["schemas"][name] if name else one
        if known.get("format") == "uuid":
            yield path
        for field, inner in known.get("properties", {}).items():
            yield from _uuids(inner, document, f"{path}.{field}".lstrip("."))
        if "items" in known:
            yield from _uuids(known["items"], document, f"{path}.0")


async def test_whatever_a_path_names_and_is_not_there_is_404(world: World, subtests: pytest.Subtests) -> None:
    bodies: dict[str, dict[str, Any]] = {"addOverride": HOUR | ME, "setMember": ME, "changeMember": {"role": "member"}}
    bodies |= {f"{verb}Incident": {"minutes": 5} for verb in ("snooze", "suppress")}
    bodies |= {"reassignIncident": {"assignedTo": ME["userId"]}, "addResponders": {"userIds": [ME["userId"]]}}
    bodies["addNote"] = {"text": "the replica lags"}
    bodies["recordReceipt"] = {"state": "opened", "at": world.clock.now().isoformat()}
    bodies["eraseUser"] = {"confirmEmail": "nobody@pager.test"}
    queries = {"listShifts": "?from=2030-01-01T00:00:00Z&to=2030-01-02T00:00:00Z"}
    walked = set()
    for path, verbs in Api().openapi()["paths"].items():
        for verb, operation in verbs.items():
            parameters = [p for p in operation.get("parameters", ()) if p["in"] == "path"]
            if not any(map(_is_uuid, parameters)):
                continue
            name = operation["operationId"]
            walked.add(name)
            named = path.removeprefix("/api/v1").format(**{p["name"]: NOBODY for p in parameters})
            where = named + queries.get(name, "")
            body = bodies.get(name, {} if verb == "patch" else None)
            with subtests.test(operation=name):
                _refused(await world.admin.call(verb.upper(), where, body), 404, "NOT_FOUND")
    assert {"getIncident", "addOverride", "deletePolicy", "revokeIntegrationKey"} < walked


def _is_uuid(parameter: dict[str, Any]) -> bool:
    schema = parameter["schema"]
    return any(one.get("format") == "uuid" for one in (schema, *schema.get("anyOf", ())))


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
