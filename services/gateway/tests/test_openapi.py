"""The OpenAPI document is whole: every operation with its errors, headers and examples; and each of these is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter

from services.gateway import docs
from services.gateway.envelope import STATUS_OF, ErrorAnswer
from services.gateway.tests.described import API, ROUTES, described, operations
from services.gateway.versions import OPERATIONS

each = pytest.mark.parametrize("name", sorted(ROUTES))


@pytest.mark.thorough
def test_every_route_is_described_once_and_nothing_else_is() -> None:
    ids = [op["operationId"] for verbs in described()["paths"].values() for op in verbs.values()]
    assert len(ids) == len(set(ids))
    assert set(ids) == ROUTES.keys()


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    named = set(_references(described()))
    there = {
        f"#/components/{kind}/{name}"
        for kind, members in described()["components"].items()
        for name in members
        if kind != "securitySchemes"
    }
    assert named <= there
    spare = {f"#/components/headers/{name}" for name in ("Deprecation", "Sunset", "Link")}
    # Of codes that no operation in particular has, but the server.
    general = {f"#/components/examples/{code}" for code in ("METHOD_NOT_ALLOWED", "HEADERS_TOO_LARGE")}
    assert there - named <= (general if OPERATIONS else general | spare)


@each
def test_an_operation_says_what_it_is_and_who_may_ask(name: str) -> None:
    _, _, operation = operations()[name]
    assert operation["summary"]
    assert operation["tags"]
    schemes = {scheme for one in operation.get("security", ()) for scheme in one}
    assert schemes <= described()["components"]["securitySchemes"].keys()
    assert ("401" in operation["responses"]) or not schemes
    assert bool(operation.get("deprecated")) is (name in OPERATIONS)


@each
def test_every_answer_has_its_headers(name: str) -> None:
    path, _, operation = operations()[name]
    counted = "security" in operation or "auth" in operation["tags"]
    for status, response in operation["responses"].items():
        if status == "101":
            continue
        headers = response["headers"].keys()
        assert "X-Request-ID" in headers
        good = int(status) < 400
        assert ("X-API-Version" in headers) is (good and path.startswith("/api/v1/"))
        assert ("X-RateLimit-Remaining" in headers) is (counted and (good or status == "429"))
        assert ("Retry-After" in headers) is (status in {"429", "503"})
        assert "ETag" in headers or status not in {"304", "412"}
        assert ({"Deprecation", "Sunset"} <= headers) is (good and name in OPERATIONS)


@each
def test_every_body_has_an_example_that_is_accepted(name: str) -> None:
    _, _, operation = operations()[name]
    route = ROUTES[name]
    for example in _examples(operation.get("requestBody", {})):
        assert route.body_field is not None
        taken: Any = route.body_field.field_info.annotation
        TypeAdapter[Any](taken).validate_json(json.dumps(example))
    for status, response in operation["responses"].items():
        shown = list(_examples(response))
        assert len(shown) >= len(response.get("content", {}))
        model: Any = route.responses.get(int(status), {}).get("model")
        for example in shown if model is not None else ():
            if not isinstance(example, str):
                TypeAdapter[Any](model).validate_json(json.dumps(example))


@each
def test_every_error_shows_codes_of_its_status(name: str) -> None:
    _, _, operation = operations()[name]
    for status, response in operation["responses"].items():
        medium = response.get("content", {}).get("application/json", {})
        if medium.get("schema", {}).get("$ref", "").endswith("/ErrorAnswer"):
            codes: list[Any] = list(medium["examples"])
            assert codes
            assert {STATUS_OF[code] for code in codes} == {int(status)}


def test_the_document_is_written_once_for_all_who_ask() -> None:
    assert docs.written(API) is docs.written(API)
    assert json.loads(docs.written(API)) == json.loads(json.dumps(described()))


def test_there_is_an_example_of_every_error() -> None:
    shown = described()["components"]["examples"]
    assert shown.keys() == STATUS_OF.keys()
    for code, example in shown.items():
        assert ErrorAnswer.model_validate_json(json.dumps(example["value"])).error.code == code


def _examples(body: dict[str, Any]) -> Iterator[Any]:
    for medium in body.get("content", {}).values():
        if "example" in medium:
            yield medium["example"]
        for example in medium.get("examples", {}).values():
            if "value" in example:
                yield example["value"]
            else:
                yield described()["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
