"""Clients of the last release go on working; and whatever would break them is seen."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from docs.breaking import DOCUMENTS, RELEASED, asyncapi_breaks, bare, openapi_breaks

NOW = {name: bare(make()) for name, (make, _) in DOCUMENTS.items()}
Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_nothing_breaks_a_client_of_the_last_release(name: str) -> None:
    before = json.loads((RELEASED / name).read_text(encoding="utf-8"))
    # What is on purpose is named in the changelog; until there is a release, `make baseline` takes it over.
    assert DOCUMENTS[name][1](before, NOW[name]) == []


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_document_does_not_break_itself(name: str) -> None:
    assert DOCUMENTS[name][1](NOW[name], NOW[name]) == []


def _create(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]["CreateIncident"]
    return found


def _view(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"]["IncidentView"]
    return found


def _list(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/api/v1/incidents"]["get"]
    return found


BREAKS: dict[str, tuple[Change, str]] = {
    "a path": (lambda d: d["paths"].pop("/api/v1/teams"), "POST /api/v1/teams is gone"),
    "an operation": (lambda d: d["paths"]["/api/v1/teams"].pop("post"), "POST /api/v1/teams is gone"),
    "a field that is sent": (lambda d: _create(d)["properties"].pop("description"), ".description is gone"),
    "a field that is answered": (lambda d: _view(d)["properties"].pop("title"), ".title is gone"),
    "a field that may be missing": (lambda d: _view(d)["required"].remove("title"), ".title may be missing now"),
    "a field that is needed": (lambda d: _create(d)["required"].append("description"), ".description is needed now"),
    "a shorter text": (lambda d: _create(d)["properties"]["title"].update(maxLength=9), ".title has maxLength 9 now"),
    "another type": (lambda d: _view(d)["properties"]["number"].update(type="string"), "was integer, is string"),
    "null": (
        lambda d: _view(d)["properties"].update(number={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ".number may be null now",
    ),
    "a word that is sent": (
        lambda d: d["components"]["schemas"]["Priority"]["enum"].remove("low"),
        "must be one of critical, high, medium now",
    ),
    "a parameter": (lambda d: _list(d)["parameters"].clear(), "fields is not taken any more"),
    "a needed parameter": (
        lambda d: _list(d)["parameters"].append({"in": "query", "name": "new", "required": True, "schema": {}}),
        "new is needed now",
    ),
    "a header": (lambda d: _list(d)["responses"]["200"]["headers"].pop("ETag"), "200 has no ETag any more"),
    "a status": (lambda d: _list(d)["responses"].pop("304"), "304 is not answered any more"),
    "a scheme": (lambda d: _list(d)["security"].pop(), "takes no apiKey any more"),
}


@pytest.mark.parametrize("what", sorted(BREAKS))
def test_what_breaks_a_client_of_the_api_is_said(what: str) -> None:
    change, sentence = BREAKS[what]
    changed = copy.deepcopy(NOW["openapi.json"])
    change(changed)
    assert any(sentence in found for found in openapi_breaks(NOW["openapi.json"], changed))


FINE: dict[str, Change] = {
    "an operation": lambda d: d["paths"].update({"/api/v1/new": {"get": {"operationId": "new", "responses": {}}}}),
    "a field that is answered": lambda d: _view(d)["properties"].update(new={"type": "string"}),
    "a field that may be sent": lambda d: _create(d)["properties"].update(new={"type": "string"}),
    "a longer text": lambda d: _create(d)["properties"]["title"].update(maxLength=999),
    "a word more": lambda d: d["components"]["schemas"]["Priority"]["enum"].append("lowest"),
    "a parameter": lambda d: _list(d)["parameters"].append({"in": "query", "name": "new", "schema": {}}),
    "other sentences": lambda d: _list(d).update(summary="Other", description="words"),
}


@pytest.mark.parametrize("what", sorted(FINE))
def test_what_may_change_in_a_version_is_not_called_a_break(what: str) -> None:
    changed = copy.deepcopy(NOW["openapi.json"])
    FINE[what](changed)
    assert openapi_breaks(NOW["openapi.json"], changed) == []


def test_what_was_announced_to_end_may_be_gone() -> None:
    before, changed = copy.deepcopy(NOW["openapi.json"]), copy.deepcopy(NOW["openapi.json"])
    before["paths"]["/api/v1/teams"]["post"]["deprecated"] = True
    del changed["paths"]["/api/v1/teams"]["post"]
    assert openapi_breaks(before, changed) == []


EVENT = "pager.incidents.IncidentCreated.v1"
ON_THE_BUS: dict[str, tuple[Change, str]] = {
    "an event": (
        lambda d: [d[kind].pop(key) for kind, key in (("channels", EVENT), ("operations", f"{EVENT}.send"))],
        "gone",
    ),
    "a subject": (lambda d: d["channels"][EVENT].update(address="pager.other"), "has another address"),
    "a field": (
        lambda d: d["components"]["schemas"]["IncidentCreated"]["properties"].pop("title"),
        f"{EVENT} payload.data.title is gone",
    ),
    "a type's name": (
        lambda d: d["components"]["messages"][EVENT]["payload"]["allOf"][1]["properties"]["type"].update(const="x"),
        f"was one of {EVENT}",
    ),
    "an alert's field": (
        lambda d: d["components"]["schemas"]["AlertBody"]["required"].append("dedupKey"),
        ".dedupKey is needed now",
    ),
    "a frame": (lambda d: d["operations"]["stream.receive"]["messages"].pop(), "stream.receive has no"),
}


@pytest.mark.parametrize("what", sorted(ON_THE_BUS))
def test_what_breaks_a_client_of_the_bus_is_said(what: str) -> None:
    change, sentence = ON_THE_BUS[what]
    changed = copy.deepcopy(NOW["asyncapi.json"])
    change(changed)
    assert any(sentence in found for found in asyncapi_breaks(NOW["asyncapi.json"], changed))
