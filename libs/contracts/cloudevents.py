"""CloudEvents 1.0 on NATS: https://github.com/cloudevents/spec (NATS protocol binding)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from libs.contracts.subjects import Header, message_id

SOURCE = "/pager/"
_LINES = 9
_ATTRIBUTE = re.compile(r"^[a-z0-9]{1,20}$")


class NotACloudEvent(ValueError):
    """The message claims to be a CloudEvent and is not one; the text says what was expected."""


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


def decode_value(raw: str) -> str:
    """The reverse; a double-quoted value is unquoted first.

    Raises:
        NotACloudEvent: the bytes are not UTF-8.
    """
    if len(raw) >= 2 and raw[0] == raw[-1] == '"':
        raw = re.sub(r"\\(.)", r"\1", raw[1:-1])
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotACloudEvent("an attribute is not valid UTF-8 after percent-decoding") from error


def is_cloud_event(headers: Mapping[str, str]) -> bool:
    """Structured mode by its content type, binary mode by any `ce-` attribute (names in any case)."""
    return any(
        name.lower().startswith("ce-")
        or (name.lower() == "content-type" and value.lower().startswith("application/cloudevents"))
        for name, value in headers.items()
    )


def read_cloud_event(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], Any]:
    """Attributes (lower case, without `ce-`) and the decoded JSON data, of either mode.

    Raises:
        NotACloudEvent: wrong specversion, bad attribute, batch mode or data that are not JSON.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    content_type = lower.get("content-type", "").lower()
    if content_type.startswith("application/cloudevents-batch"):
        raise NotACloudEvent("batch mode is not supported on NATS: publish one event a message")
    if content_type.startswith("application/cloudevents"):
        return _read_structured(body)
    attributes = {name[3:]: decode_value(value) for name, value in lower.items() if name.startswith("ce-")}
    _check(attributes)
    return attributes, _json(body)


def _read_structured(body: bytes) -> tuple[dict[str, str], Any]:
    event = _json(body)
    if not isinstance(event, dict):
        raise NotACloudEvent("a structured CloudEvent is a JSON object")
    if "data_base64" in event:
        raise NotACloudEvent("data_base64 is not supported: send the alert as JSON in data")
    data = event.pop("data", None)
    attributes = {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in event.items()}
    _check(attributes)
    return attributes, data


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotACloudEvent(f"the body is not valid UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise NotACloudEvent(f"the body is not JSON: {error}") from error


def _check(attributes: Mapping[str, str]) -> None:
    # A missing one is let pass: a page matters more than its form.
    if not attributes.get("specversion", "1.0").startswith("1."):
        raise NotACloudEvent("ce-specversion must be 1.0")
    for name in attributes:
        if not _ATTRIBUTE.match(name):
            raise NotACloudEvent(f"attribute name {name[:40]!r} must be 1 to 20 characters of a-z and 0-9")
