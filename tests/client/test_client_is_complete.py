"""The client has every operation that a program calls, as the API describes it, and says so of itself."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from docs.client import FOLDER, Operation, operations
from docs.client_types import snake
from pager_client import errors, types
from pager_client.operations import Operations
from services.gateway.envelope import STATUS_OF
from services.gateway.tests.described import ROUTES, described
from tests.client.gateway import Gateway, said

LEFT_OUT = {"stream", "refresh", "startOidc", "returnFromOidc"}
"""The first two have places of their own in the client; the others are for browsers."""
CALLED = [name for name in ROUTES if name not in LEFT_OUT]


@cache
def _called() -> Mapping[str, Operation]:
    return {one.id: one for one in operations(described())}


def test_every_operation_is_there() -> None:
    ids = {op["operationId"] for verbs in described()["paths"].values() for op in verbs.values()}
    assert _called().keys() == set(CALLED) == ids - LEFT_OUT


@pytest.mark.parametrize("name", CALLED)
def test_a_method_sends_what_the_operation_takes(name: str) -> None:
    one = _called()[name]
    gateway = Gateway([said({})])
    method = getattr(gateway.pager(), snake(one.id))
    given = inspect.signature(method).parameters
    ids = [f"id-{number}" for number, _ in enumerate(one.parameters("path"))]
    method(*ids, **_example(one))
    (asked,) = gateway.asked
    left = iter(ids)
    path = re.sub(r"\{\w+\}", lambda _: next(left), one.path)
    assert (asked.method, asked.url.path) == (one.verb, path)
    assert ("idempotency-key" in asked.headers) == one.takes("Idempotency-Key")
    assert ("if_match" in given) == one.takes("If-Match")
    assert (json.loads(asked.content) if asked.content else {}) == (_example(one) if one.body() else {})
    needed = {parameter["name"] for parameter in one.parameters("query") if parameter.get("required")}
    assert set(asked.url.params) == needed


def _example(one: Operation) -> Mapping[str, Any]:
    """The first of those that OpenAPI gives; of what a path asks for only what it needs."""
    if one.body() is None:
        named = (p["name"] for p in one.parameters("query") if p.get("required"))
        return {snake(name, same=True): "x" for name in named}
    medium = one.document["requestBody"]["content"]["application/json"]
    found: Mapping[str, Any] = medium.get("example") or next(iter(medium["examples"].values()))["value"]
    return found


def test_every_list_with_cursors_can_be_walked() -> None:
    paged = [one for one in _called().values() if "cursor" in {p["name"] for p in one.parameters("query")}]
    names = {f"iter_{snake(re.sub('^(list|get)', '', one.id))}" for one in paged}
    assert names == {name for name in vars(Operations) if name.startswith("iter_")}


def test_every_code_is_known_or_left_plain_on_purpose() -> None:
    plain = {
        "METHOD_NOT_ALLOWED",
        "NOT_ACCEPTABLE",
        "REQUEST_TIMEOUT",
        "UNSUPPORTED_MEDIA_TYPE",
        "UPGRADE_REQUIRED",
        "HEADERS_TOO_LARGE",
    }
    assert set(errors.BY_CODE) | plain == set(STATUS_OF)


def test_a_type_has_the_fields_of_its_schema() -> None:
    schemas = described()["components"]["schemas"]
    for name in ("IncidentView", "CreateIncident", "ReviewView", "Summary", "Restriction"):
        made = getattr(types, name)
        assert set(made.__annotations__) == set(schemas[name]["properties"]), name


def test_it_brings_httpx_and_nothing_of_pagers() -> None:
    code = "import sys, pager_client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    folder = FOLDER.parent
    loaded = set(subprocess.check_output([sys.executable, "-c", code], cwd=folder, text=True).split())
    assert "httpx" in loaded
    assert not loaded & {"libs", "services", "cli", "pydantic", "aiohttp", "nats", "websockets"}
