"""The Postman collection: every operation once, after a sign-in that keeps the tokens."""

from __future__ import annotations

import json
import re
from typing import Any

from docs import collection
from services.gateway.app import Api

OPENAPI = Api().openapi()
COLLECTION: dict[str, Any] = json.loads(collection.collection(OPENAPI))
ITEMS = [item for folder in COLLECTION["item"] for item in folder["item"]]


def test_every_operation_is_there_once_but_the_stream() -> None:
    operations = {op["operationId"] for verbs in OPENAPI["paths"].values() for op in verbs.values()}
    ids = [item["id"] for item in ITEMS]
    assert len(ids) == len(set(ids))
    assert set(ids) == operations - {"stream"}


def test_whoever_begins_at_the_top_signs_in_first_and_keeps_the_tokens() -> None:
    assert ITEMS[0]["id"] == "login"
    assert ITEMS[0]["request"]["auth"] == {"type": "noauth"}
    assert "accessToken" in "".join(ITEMS[0]["event"][0]["script"]["exec"])


def test_every_variable_is_declared_and_every_part_of_a_path_has_a_place() -> None:
    declared = {variable["key"] for variable in COLLECTION["variable"]}
    used = set(re.findall(r"\{\{(\w+)\}\}", json.dumps(COLLECTION)))
    assert used == declared
    for item in ITEMS:
        url = item["request"]["url"]
        assert {part[1:] for part in url["path"] if part.startswith(":")} == {v["key"] for v in url.get("variable", ())}


def test_every_body_is_json_and_is_sent_as_such() -> None:
    bodies = 0
    for item in ITEMS:
        if (body := item["request"].get("body")) is not None:
            bodies += 1
            assert isinstance(json.loads(body["raw"]), dict)
            assert {"key": "Content-Type", "value": "application/json"} in item["request"]["header"]
    assert bodies == sum("requestBody" in op for verbs in OPENAPI["paths"].values() for op in verbs.values())
