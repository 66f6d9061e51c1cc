"""CloudEvents 1.0 on NATS: https://github.com/cloudevents/spec (NATS protocol binding)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, unquote_to_bytes

from libs.contracts.leniency import moment
from libs.contracts.subjects import Header, message_id

SOURCE = "/pager/"
_LINES = 9
_STRUCTURED = "application/cloudevents"
_NAMING = ("id", "source", "fingerprint")


class NotACloudEvent(ValueError):
    """The message claims to be a CloudEvent and is none that could be read; the text says what was expected."""


def event_headers(
    service: str, event_id: str, type_name: str, time: datetime, *, epoch: int, position: int, previous: int, last: int
) -> str:
    """Binary mode headers of one of our events, with its place in the chain of its lane, as lines.

    `last`: the sequence that the stream must end with before it. Only what the binding requires, and the time: the rest
    is in the body, and every reader pays for each header.

    Raises:
        ValueError: a line break in a value would be read as another header.
    """
    lines = (
        f"{Header.MESSAGE_ID}: {message_id(service, epoch, position)}\r\n"
        f"{Header.POSITION}: {position}\r\n"
        f"{Header.PREVIOUS}: {previous}\r\n"
        "ce-specversion: 1.0\r\n"
        f"ce-id: {event_id}\r\n"
        f"ce-source: {SOURCE}{service}\r\n"
        f"ce-type: {type_name}\r\n"
        f"ce-time: {time.isoformat()}\r\n"
        f"{Header.EXPECTED_LAST_SEQUENCE}: {last}\r\n"
    )
    if lines.count("\r") != _LINES or lines.count("\n") != _LINES:
        raise ValueError("a header holds a line break")
    return lines


def encode_value(value: str) -> str:
    """Percent-encode space, `"`, `%` and everything outside U+0021 to U+007E (binding, section 3.1.3.2)."""
    return quote(value, safe="!#$&'()*+,-./0123456789:;<=>?@[\\]^_`{|}~")


def decode_value(raw: str) -> str | None:
    """The reverse; a double-quoted value is unquoted first. None: the bytes are not UTF-8."""
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        raw = re.sub(r"\\(.)", r"\1", raw[1:-1])
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        return None


def is_cloud_event(headers: Mapping[str, str]) -> bool:
    """Structured mode by its content type, binary mode by any `ce-` attribute (names in any case)."""
    return any(
        name.lower().startswith("ce-") or (name.lower() == "content-type" and value.lower().startswith(_STRUCTURED))
        for name, value in headers.items()
    )


class CloudEvent(NamedTuple):
    """What a CloudEvent says about itself and carries."""

    attributes: Mapping[str, str]
    """Those that can be read: texts that are not empty, by their names in lower case, without `ce-`."""
    data: Any
    time: datetime | None
    unread: Mapping[str, str]
    """What is not as it should be and was passed over: a name of ours, and what is wrong."""


def read_cloud_event(headers: Mapping[str, str], body: Any) -> CloudEvent:
    """The event of a message whose body was read as JSON, in either mode.

    An attribute that is no text, or empty, is left out: `"id": null` is nobody's identity. What claims to be of another
    version, and a structured event that is the alert itself, are read all the same (docs/adr/0034).

    Raises:
        NotACloudEvent: batch mode, or a structured event that is no object.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    content_type = lower.get("content-type", "").lower()
    if content_type.startswith(_STRUCTURED):
        if isinstance(body, dict):
            return _structured(body)
        if content_type.startswith("application/cloudevents-batch"):
            raise NotACloudEvent("batch mode is not supported on NATS: publish one event a message")
        raise NotACloudEvent("expected a JSON object: a structured CloudEvent is one")
    attributes = {name[3:]: decode_value(value) for name, value in lower.items() if name.startswith("ce-")}
    return _event(attributes, body, {})


def _structured(event: Mapping[str, Any]) -> CloudEvent:
    data = event.get("data")
    if isinstance(data, dict):
        return _event(event, data, {})
    return _event(event, event, {} if data is None else {"data": "not an object"})


def _event(attributes: Mapping[str, Any], data: Any, unread: dict[str, str]) -> CloudEvent:
    version = attributes.get("specversion")
    if version is not None and not (isinstance(version, str) and version.startswith("1.")):
        unread["specversion"] = "not 1.0"
    texts = {name: value for name, value in attributes.items() if isinstance(value, str) and value.strip()}
    unread |= {name: "not text" for name in _NAMING if attributes.get(name) is not None and name not in texts}
    time = attributes.get("time")
    at = None if time is None else moment(time)
    if time is not None and at is None:
        unread["time"] = "not a time with an offset"
    return CloudEvent(texts, data, at, unread)
