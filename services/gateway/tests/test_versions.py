"""ETags of what has a version, and commands that say which version they are meant for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from libs.chassis.requests.matching import PreconditionFailed
from libs.contracts.subjects import Header
from services.gateway.tests import views as v
from services.gateway.tests.described import described
from services.gateway.tests.stubs import World, world
from services.gateway.tests.test_routes import CASES, CREATE, ID, INCIDENT, LOGIN, Case

_POLICY = f"/api/v1/escalation/policies/{ID}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_one_thing_that_has_a_version_has_its_tag(pager: World, case: Case) -> None:
    await pager.stubs.answer(case.operation, case.reply)
    answer = await pager.call(case.method, f"/api/v1{case.path}", case.body)
    # Who joins may be signed in by that: tokens stand beside the account that was made.
    one = next(iter(case.data.values())) if len(case.data) == 1 or case.name == "register" else None
    versioned = isinstance(one, dict) and "version" in one
    tag = answer.headers.get("ETag", "")
    assert bool(re.fullmatch(r'"1\.[0-9a-f]{16}"', tag)) is versioned


async def test_a_command_says_on_the_bus_which_version_it_is_meant_for(pager: World) -> None:
    await pager.stubs.answer("escalation.change_policy", v.POLICY)
    for sent, said in (
        ('"7"', '"7"'),
        ('"7.0123456789abcdef", "7.x"', '"7"'),
        (' W/"8" , "x", "7"', '"7"'),
        ("*", "*"),
        ('"x"', '""'),
        (None, None),
    ):
        headers = {} if sent is None else {"If-Match": sent}
        assert (await pager.call("PATCH", _POLICY, {"repeat": 0}, headers=headers)).status == 200
        assert pager.stubs.asked["escalation.change_policy"][-1].headers.get(Header.IF_MATCH) == said


async def test_lines_of_the_header_are_one_list(pager: World) -> None:
    await pager.stubs.answer("escalation.change_policy", v.POLICY)
    token, url = pager.token(), pager.gateway.url + _POLICY
    lines = [("Authorization", f"Bearer {token}"), ("If-Match", '"7"'), ("If-Match", '"8"')]
    async with pager.http.patch(url, json={"repeat": 0}, headers=lines) as answer:
        assert answer.status == 200
    assert pager.stubs.asked["escalation.change_policy"][-1].headers[Header.IF_MATCH] == '"7", "8"'


@pytest.mark.parametrize("sent", ["7", "", ",", '"7" "8"', '*, "7"', '"7'])
async def test_what_is_no_list_of_tags_is_a_400_and_asks_nobody(pager: World, sent: str) -> None:
    await pager.stubs.answer("escalation.change_policy", v.POLICY)
    answer = await pager.call("PATCH", _POLICY, {"repeat": 0}, headers={"If-Match": sent})
    assert (answer.status, answer.error["code"]) == (400, "VALIDATION_ERROR")
    assert answer.error["details"]["field"] == "If-Match"
    assert pager.stubs.asked == {}


async def test_a_version_that_is_past_is_a_412_that_names_the_present_one(pager: World) -> None:
    await pager.stubs.answer("escalation.change_policy", refusal=PreconditionFailed(8).refusal())
    answer = await pager.call("PATCH", _POLICY, {"repeat": 0}, headers={"If-Match": '"7"'})
    assert (answer.status, answer.error["code"], answer.headers["ETag"]) == (412, "PRECONDITION_FAILED", '"8"')
    reason = 'it has changed: its ETag is "8" now'
    assert answer.error["details"] == {"field": "If-Match", "reason": reason, "etag": '"8"'}

    await pager.stubs.forget()
    await pager.stubs.answer("auth.remove_device", refusal=PreconditionFailed(None).refusal())
    answer = await pager.call("DELETE", "/api/v1/devices/x", headers={"If-Match": '"7"'})
    assert (answer.status, answer.error["code"], "ETag" in answer.headers) == (412, "PRECONDITION_FAILED", False)


async def test_queries_and_signing_in_have_no_precondition(pager: World) -> None:
    await pager.stubs.answer("incidents.get", v.INCIDENT)
    await pager.stubs.answer("auth.login", v.SIGNED_IN)
    for method, path, body in (("GET", INCIDENT, None), ("POST", "/auth/login", LOGIN)):
        assert (await pager.call(method, f"/api/v1{path}", body, headers={"If-Match": '"7"'})).status == 200
    for operation in ("incidents.get", "auth.login"):
        assert Header.IF_MATCH not in pager.stubs.asked[operation][-1].headers


@pytest.mark.servers
async def test_other_origins_may_send_and_read_tags() -> None:
    async with world(cors_origins="https://app.test") as pager:
        await pager.stubs.keys()
        await pager.stubs.answer("incidents.create", v.INCIDENT)
        asking = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "if-match"}
        origin = {"Origin": "https://app.test"}
        assert (await pager.call("OPTIONS", _POLICY, token=None, headers=origin | asking)).status == 200
        answer = await pager.call("POST", "/api/v1/incidents", CREATE, headers=origin)
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]


def test_the_document_says_where_tags_are_given_and_taken() -> None:
    paths = described()["paths"]
    tagged, conditional = set[str](), set[str]()
    for verbs in paths.values():
        for operation in verbs.values():
            done: Any = next(iter(operation["responses"].values()))
            tagged |= {operation["operationId"]} if "ETag" in done.get("headers", {}) else set()
            taken = any(p["name"] == "If-Match" for p in operation.get("parameters", ()))
            assert taken == ("412" in operation["responses"])
            conditional |= {operation["operationId"]} if taken else set()
    status = {"acknowledgeIncident", "resolveIncident", "closeIncident"}
    changes = {"editIncident", "changeSchedule", "changePolicy", "changeIntegration"}
    assert conditional >= status | changes
    made = {"createIncident", "createSchedule", "createPolicy", "createIntegration"}
    got = {"getIncident", "getSchedule", "getPolicy", "getIntegration"}
    assert tagged >= status | changes | made | got
    assert not conditional & (made | got)
