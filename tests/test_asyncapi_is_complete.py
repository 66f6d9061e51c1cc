"""The AsyncAPI document: every event, frame and subject, and nothing that leads nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from typing import Any
from uuid import UUID

from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema

from docs import bus
from docs.events import facts_of
from libs.contracts import streaming
from libs.contracts.subjects import SERVICES, event_subject, lanes_of

DOCUMENT: dict[str, Any] = json.loads(bus.document())
CHANNELS = DOCUMENT["channels"]


def test_it_has_the_form_of_asyncapi_3() -> None:
    assert ApplicationSchema.model_validate(DOCUMENT).asyncapi == "3.0.0"


def test_every_reference_leads_somewhere_and_every_message_is_said() -> None:
    said = set(_references(DOCUMENT))
    for reference in said:
        assert reduce(lambda node, part: node[part], reference.removeprefix("#/").split("/"), DOCUMENT), reference
    assert {f"#/components/messages/{name}" for name in DOCUMENT["components"]["messages"]} <= said
    assert {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]} <= said


def test_an_operation_has_messages_of_its_channel() -> None:
    used = set()
    for operation in DOCUMENT["operations"].values():
        channel = operation["channel"]["$ref"]
        used.add(channel.rpartition("/")[2])
        assert operation["messages"]
        assert all(message["$ref"].startswith(f"{channel}/messages/") for message in operation["messages"])
    assert CHANNELS.keys() - used == {"replies"}


def test_every_event_is_sent_where_the_contracts_say() -> None:
    entity = UUID(int=1)
    for service in SERVICES:
        for fact in facts_of(service):
            address = CHANNELS[fact.type]["address"]
            written = {address.replace("{lane}", lane).replace("{entity}", str(entity)) for lane in lanes_of(service)}
            assert written == {event_subject(fact.type, lane, entity) for lane in lanes_of(service)}


def test_every_parameter_of_an_address_is_described() -> None:
    for channel in CHANNELS.values():
        named = {part[1:-1] for part in (channel["address"] or "").split(".") if part.startswith("{")}
        assert named == channel.get("parameters", {}).keys()


def test_every_frame_of_the_stream_is_there() -> None:
    frames = {
        reference.rpartition("/")[2]
        for side in streaming.schemas().values()
        for union in ("oneOf", "anyOf")
        for reference in (option["$ref"] for option in side.get(union, ()))
    }
    assert CHANNELS["stream"]["messages"].keys() == frames
    assert frames


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
