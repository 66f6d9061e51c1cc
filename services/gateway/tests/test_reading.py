"""What is read: a part of it, only where it is not known yet, and compressed where that is safe."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from libs.chassis.testing.examples import examples
from services.gateway.app import Api
from services.gateway.envelope import Problem
from services.gateway.route import SIGNED_IN, PagerRoute
from services.gateway.selection import Selection
from services.gateway.tests import views as v
from services.gateway.tests.described import described
from services.gateway.tests.stubs import World
from services.gateway.tests.test_routes import CASES, ID, Case

pytestmark = pytest.mark.servers

_READS = [case for case in CASES if case.method == "GET" and case.name not in ("captcha", "getSignInMethods")]


@pytest.mark.parametrize("case", _READS, ids=lambda case: case.name)
async def test_every_answer_has_a_tag_and_whoever_names_it_gets_no_body(pager: World, case: Case) -> None:
    await pager.stubs.answer(case.operation, case.reply)
    first = await pager.call("GET", f"/api/v1{case.path}")
    assert first.status == 200
    tag = first.headers["ETag"]
    for seen in (tag, f'"other", W/{tag.removeprefix("W/")}', "*"):
        again = await pager.call("GET", f"/api/v1{case.path}", headers={"If-None-Match": seen})
        assert (again.status, again.raw, again.headers["ETag"]) == (304, b"", tag)
        assert "X-Request-ID" in again.headers
    for other in ('"other"', tag[:-2] + 'x"', "", "no list", '"' * 1000):
        assert (await pager.call("GET", f"/api/v1{case.path}", headers={"If-None-Match": other})).status == 200


async def test_what_changes_beside_the_version_is_another_answer(pager: World) -> None:
    path = f"/api/v1/incidents/{ID}"
    await pager.stubs.answer("incidents.get", v.INCIDENT)
    tag = (await pager.call("GET", path)).headers["ETag"]
    await pager.stubs.forget()
    await pager.stubs.keys()
    await pager.stubs.answer("incidents.get", {**v.INCIDENT, "alertCount": 999})
    answer = await pager.call("GET", path, headers={"If-None-Match": tag})
    assert (answer.status, answer.json["data"]["incident"]["alertCount"]) == (200, 999)
    assert answer.headers["ETag"].partition(".")[0] == tag.partition(".")[0]


@pytest.mark.parametrize("case", _READS, ids=lambda case: case.name)
async def test_every_list_and_resource_answers_with_the_fields_that_are_asked_for(pager: World, case: Case) -> None:
    await pager.stubs.answer(case.operation, case.reply)
    sign = "&" if "?" in case.path else "?"
    unknown = await pager.call("GET", f"/api/v1{case.path}{sign}fields=nothingLikeIt")
    assert (unknown.status, unknown.error["details"]["field"]) == (400, "fields")
    assert "nothingLikeIt" in unknown.error["message"]
    whole = (await pager.call("GET", f"/api/v1{case.path}")).json["data"]
    names = [name for name in whole if name not in ("pagination", "nextCursor", "erased", "inactive")]
    thing = whole[names[0]] if len(names) == 1 else whole
    first = (thing[0] if thing else None) if isinstance(thing, list) else thing
    if not isinstance(first, dict):
        return
    name = next(iter(first))
    part = (await pager.call("GET", f"/api/v1{case.path}{sign}fields={name}")).json["data"]
    shown = part[names[0]] if len(names) == 1 else part
    for one in shown if isinstance(shown, list) else [shown]:
        assert one.keys() - {"pagination", "nextCursor"} <= {name}
    assert all(part[beside] == whole[beside] for beside in ("pagination", "nextCursor") if beside in whole)


async def test_nested_fields_are_named_with_dots(pager: World) -> None:
    await pager.stubs.answer("incidents.get", {**v.INCIDENT, "metadata": {"a.b": "1", "c": "2"}})
    path = f"/api/v1/incidents/{ID}?fields="
    some = (await pager.call("GET", path + "id,escalation.level,metadata.a.b")).json["data"]["incident"]
    assert some["metadata"] == {"a.b": "1"}
    assert some.keys() == {"id", "escalation", "metadata"}
    for wrong in ("title.x", "escalation.nothing", "", "id,", "id,escalation,escalation.nothing", "a" * 5000):
        assert (await pager.call("GET", path + wrong)).status == 400
    both = (await pager.call("GET", path + "escalation.level,escalation")).json["data"]["incident"]
    assert both == {"escalation": v.INCIDENT["escalation"]}


class _Inner(BaseModel):
    a: int
    free: dict[str, str]


class _Data(BaseModel):
    things: list[_Inner | None]


class _Answer(BaseModel):
    success: bool
    data: _Data


@settings(max_examples=examples(300))
@given(
    st.one_of(st.text(max_size=60), st.lists(st.sampled_from(["a", "free", "free.x", "a.b", "", "."])).map(",".join))
)
def test_whatever_is_asked_for_is_there_or_named_in_a_400(fields: str) -> None:
    selection = Selection.of(_Answer)
    assert selection is not None
    assert selection.within == "things"
    there_are = re.compile(r"a|free(\..*)?", re.DOTALL)
    if all(there_are.fullmatch(name.strip()) for name in fields.split(",")):
        assert selection.read(fields).keys() <= {"a", "free"}
        return
    with pytest.raises(Problem) as refused:
        selection.read(fields)
    assert (refused.value.code, refused.value.field) == ("VALIDATION_ERROR", "fields")


def test_every_operation_that_is_read_can_be_asked_for_parts() -> None:
    assert {route.operation_id for route in Api().routes if _is_read(route) and route.selection is None} == {"exportMe"}
    operations = {verb["operationId"]: verb for path in described()["paths"].values() for verb in path.values()}
    for name, operation in operations.items():
        named = {parameter["name"] for parameter in operation.get("parameters", ())}
        read = "304" in operation["responses"]
        assert read is ({"fields", "If-None-Match"} <= named), name
        assert read is (
            any(_is_read(route) and route.operation_id == name for route in Api().routes) and name != "exportMe"
        )


def _is_read(route: Any) -> TypeGuard[PagerRoute]:
    signed_in = any(dependency in getattr(route, "dependencies", ()) for dependency in (SIGNED_IN,))
    return (
        isinstance(route, PagerRoute)
        and signed_in
        and "GET" in (route.methods or ())
        and bool(route._done().get("model"))
    )


async def test_what_is_long_is_compressed_for_whoever_takes_it(pager: World) -> None:
    teams = {"teams": [{**v.TEAM, "description": "x" * 500}] * 9, "total": 9, "nextCursor": None}
    await pager.stubs.answer("auth.teams", teams)
    for accepted, packed in (("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False)):
        answer = await pager.call("GET", "/api/v1/teams", headers={"Accept-Encoding": accepted})
        assert (answer.headers.get("Content-Encoding") == "gzip") is packed
        assert len(answer.json["data"]["teams"]) == 9
    await pager.stubs.answer("auth.create_team", {**v.TEAM, "description": "x" * 5000})
    made = await pager.call("POST", "/api/v1/teams", {"name": "x"}, headers={"Accept-Encoding": "gzip"})
    assert (made.status, "Content-Encoding" in made.headers) == (201, False)
