"""Alerts as senders publish them on NATS: plain JSON or a CloudEvent."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from libs.contracts.cloudevents import NotACloudEvent, is_cloud_event, read_cloud_event
from libs.contracts.model import Contract, Priority, SentMoment
from libs.contracts.subjects import ALERT_LIMIT, Header

TITLE_LIMIT = 255
_TEXT_LIMIT = 64 * 1024
"""Bytes of a description, and of the metadata: a stored event must fit into a message of 1 MiB."""
_DEPTH_LIMIT = 32
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class Action(StrEnum):
    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class UnreadableAlert(ValueError):
    """An alert that cannot be understood; the text says what was expected, and where."""


_PRIORITIES = {
    "critical": Priority.CRITICAL,
    "p1": Priority.CRITICAL,
    "error": Priority.HIGH,
    "high": Priority.HIGH,
    "p2": Priority.HIGH,
    "warning": Priority.MEDIUM,
    "medium": Priority.MEDIUM,
    "p3": Priority.MEDIUM,
    "info": Priority.LOW,
    "low": Priority.LOW,
    "p4": Priority.LOW,
    "p5": Priority.LOW,
}
"""PagerDuty's severities and Opsgenie's priorities beside ours, in any case."""


class _Body(BaseModel):
    """What a sender writes; unknown fields are ignored, known ones must have their type."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    summary: str = Field(min_length=1)
    priority: str | None = None
    severity: str | None = None
    dedup_key: str | None = Field(default=None, min_length=1, max_length=1024)
    description: str | None = None
    routing_key: str | None = None
    action: Action = Action.TRIGGER
    metadata: dict[str, Any] | None = None
    occurred_at: AwareDatetime | None = None

    @field_validator("summary")
    @classmethod
    def _not_blank(cls, summary: str) -> str:
        if not summary.strip():
            raise ValueError("must not be blank")
        return summary


class Alert(Contract):
    """One alert as read. `event_source` and `event_id` are a CloudEvent's identity: the same two are a repeat."""

    source: str
    action: Action
    title: str
    description: str | None
    priority: Priority
    dedup_key: str | None
    routing_key: str | None
    metadata: dict[str, Any]
    occurred_at: SentMoment | None
    event_source: str | None = None
    event_id: str | None = None
    traceparent: str | None = None


def source_of(subject: str) -> str:
    """`db` of `pager.alerts.db` and of `pager.alerts.db.critical`."""
    tokens = subject.split(".")[2:]
    return ".".join(tokens[:-1] if is_urgent(subject) else tokens)


def is_urgent(subject: str) -> bool:
    """Whether a subject puts its alert into the urgent lane."""
    tokens = subject.split(".")
    return len(tokens) == 4 and tokens[-1] in (Priority.CRITICAL, Priority.HIGH)


def read_alert(subject: str, headers: Mapping[str, str], body: bytes) -> Alert:
    """Understand an alert.

    A priority that we do not know counts as high, a machine's default: an alert is not refused for its wording.
    Long texts are shortened with a mark, so that the page still says what burns.

    Raises:
        UnreadableAlert: not JSON, not UTF-8, not an object, a field of a wrong type, no summary, a broken CloudEvent.
    """
    attributes: dict[str, str] = {}
    try:
        if is_cloud_event(headers):
            attributes, data = read_cloud_event(headers, body)
        else:
            data = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise UnreadableAlert(f"the body is not valid UTF-8 at byte {error.start}") from error
    except NotACloudEvent as error:
        raise UnreadableAlert(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableAlert(f"the body is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise UnreadableAlert(f"expected a JSON object with a summary, got {type(data).__name__}")
    try:
        read = _Body.model_validate(data if _is_plain(body) else storable(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise UnreadableAlert(f"{field}: {first['msg']}") from error
    return _alert(read, attributes, source_of(subject), _traceparent(headers, attributes), len(body))


def _alert(read: _Body, attributes: Mapping[str, str], source: str, traceparent: str | None, size: int) -> Alert:
    title = " ".join(read.summary.split())
    description = read.description
    if len(title) > TITLE_LIMIT:
        description = title if description is None else f"{title}\n\n{description}"
        title = title[: TITLE_LIMIT - 1] + "…"
    metadata = read.metadata or {}
    # What came within a sixth of the limit stays within it: escapes, spaces and long numbers take less than that.
    if size > ALERT_LIMIT or (size > _TEXT_LIMIT // 6 and len(json.dumps(metadata)) > _TEXT_LIMIT):
        metadata = {"shortened": f"Pager left out the metadata of an alert of {size} bytes"}
    named = (read.priority or read.severity or "").strip().lower()
    return Alert(
        source=source,
        action=read.action,
        title=title,
        description=shortened(description, size),
        priority=_PRIORITIES.get(named, Priority.HIGH),
        dedup_key=read.dedup_key,
        routing_key=read.routing_key,
        metadata=metadata,
        occurred_at=read.occurred_at or _moment(attributes.get("time")),
        event_source=attributes.get("source") if attributes.get("id") else None,
        event_id=attributes.get("id"),
        traceparent=traceparent,
    )


def shortened(text: str | None, size: int) -> str | None:
    """At most 64 KiB of UTF-8, with a mark that says how long the whole alert was."""
    raw = (text or "").encode()
    if text is None or len(raw) <= _TEXT_LIMIT:
        return text
    return raw[:_TEXT_LIMIT].decode("utf-8", "ignore") + f"… [shortened by Pager: the alert had {size} bytes]"


def _is_plain(body: bytes) -> bool:
    """Nothing in it needs `storable`: JSON spells NUL and lone surrogates as escapes, and every depth has a bracket."""
    return b"\\u" not in body and body.count(b"{") + body.count(b"[") <= _DEPTH_LIMIT


def storable(value: Any, depth: int = 0) -> Any:
    """JSON that PostgreSQL can hold: no NUL, no lone surrogate, not nested without end."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if depth >= _DEPTH_LIMIT and isinstance(value, dict | list):
        return "[nested too deeply]"
    if isinstance(value, dict):
        return {storable(k): storable(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [storable(v, depth + 1) for v in value]
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON (RFC 8259, section 6)")


def _moment(text: str | None) -> Any:
    """A sender's `ce-time` is only shown: one that cannot be read is left out rather than refused."""
    if text is None:
        return None
    try:
        return _Time(at=text).at
    except ValidationError:
        return None


class _Time(BaseModel):
    at: AwareDatetime


def _traceparent(headers: Mapping[str, str], attributes: Mapping[str, str]) -> str | None:
    given = next((v for k, v in headers.items() if k.lower() == Header.TRACEPARENT), attributes.get("traceparent"))
    parts = (given or "").split("-")
    valid = (
        len(parts) == 4 and [len(p) for p in parts] == [2, 32, 16, 2] and set("".join(parts)) <= set("0123456789abcdef")
    )
    return given if valid else None
