"""Alerts as senders publish them on NATS: plain JSON or a CloudEvent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from libs.contracts.cloudevents import CloudEvent, NotACloudEvent, is_cloud_event, read_cloud_event
from libs.contracts.labels import Link, bounded_labels, bounded_links, fingerprint_of
from libs.contracts.leniency import (
    KEY_LIMIT,
    as_written,
    is_plain,
    moment,
    quoted,
    read_fields,
    read_json,
    storable,
    strictly,
)
from libs.contracts.model import Contract, Priority, ReadMoment
from libs.contracts.subjects import ALERT_LIMIT, Header

TITLE_LIMIT = 255
_TEXT_LIMIT = 64 * 1024
"""Bytes of a description, and of the metadata: the event must stay below its limit (`codec.py`) with all the rest."""
_WRITTEN_LIMIT = 5 * _TEXT_LIMIT
"""Bytes of a description as JSON, which spells a control character with six."""


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


def _written(time: Any) -> Any:
    """A number is no time, whatever pydantic would take it for."""
    if time is None or (found := moment(time)) is not None:
        return time if time is None else found
    raise ValueError("must be a time with an offset")


class AlertBody(BaseModel):
    """What a sender writes; unknown fields are ignored. What does not fit is read field by field (`leniency.py`)."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    summary: str = Field(min_length=1)
    priority: str | None = None
    severity: str | None = None
    dedup_key: str | None = Field(default=None, pattern=r"\S", max_length=KEY_LIMIT)
    description: str | None = None
    routing_key: str | None = Field(default=None, pattern=r"\S")
    action: Action = Action.TRIGGER
    metadata: dict[str, Any] | None = None
    fingerprint: str | None = Field(default=None, pattern=r"\S", max_length=KEY_LIMIT)
    labels: dict[str, str] | None = None
    links: list[Link] | None = None
    occurred_at: Annotated[ReadMoment, BeforeValidator(_written)] | None = None

    @field_validator("summary")
    @classmethod
    def _not_blank(cls, summary: str) -> str:
        if not summary.strip():
            raise ValueError("must not be blank")
        return summary


class Alert(Contract):
    """One alert as read. `event_source` and `event_id` name it: the same two with the same body are a repeat.

    They are those of a CloudEvent, or the source of its subject and its `Nats-Msg-Id`.
    """

    source: str
    action: Action
    title: str
    description: str | None
    priority: Priority
    dedup_key: str | None
    routing_key: str | None
    metadata: dict[str, Any]
    occurred_at: ReadMoment | None
    event_source: str | None = None
    event_id: str | None = None
    body_digest: str = ""
    """Of what was sent, in either mode of CloudEvents, where it has an id."""
    traceparent: str | None = None
    fingerprint: str | None = None
    """Which of the alerts of its dedup key it is: the sender's word, else what its labels make; None: the key's own."""
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    unread: frozenset[str] = frozenset()
    """Fields that are there and could not be read, and `summary` where there is none."""


@lru_cache(maxsize=1024)  # a sender publishes on the same few, and both are asked several times for each alert
def source_of(subject: str) -> str:
    """`db` of `pager.alerts.db` and of `pager.alerts.db.critical`."""
    tokens = storable(subject).split(".")[2:]  # a subject may hold what no table can
    return ".".join(tokens[:-1] if is_urgent(subject) else tokens)


@lru_cache(maxsize=1024)
def is_urgent(subject: str) -> bool:
    """Whether a subject puts its alert into the urgent lane."""
    tokens = subject.split(".")
    return len(tokens) == 4 and tokens[-1] in (Priority.CRITICAL, Priority.HIGH)


def read_alert(subject: str, headers: Mapping[str, str], body: bytes) -> Alert:
    """Understand an alert.

    A page matters more than its form (docs/adr/0034): what cannot be read of an alert is left out, and a line at the
    end of its description says so. A priority that we do not know counts as that of the subject, else as high, a
    machine's default. Long texts are shortened with a mark, so that the page still says what burns.

    Raises:
        UnreadableAlert: no JSON object.
    """
    found = _json(body)
    data, faults, event = found.data, found.faults, _NO_EVENT
    if headers and is_cloud_event(headers):
        try:
            event = read_cloud_event(headers, data)
        except NotACloudEvent as error:
            raise UnreadableAlert(str(error)) from error
        data, faults = event.data, (*faults, *_told(event.unread))
    if not isinstance(data, dict):
        raise UnreadableAlert(f"expected a JSON object with a summary, got {_NAMES.get(type(data), 'a number')}")
    sent = _Sent(subject, headers, event, len(body))
    if found.strict:
        with suppress(ValidationError):
            return _alert(AlertBody.model_validate(data), sent, data, faults)
    return _mended(data, sent, faults)


class _Sent(NamedTuple):
    """What an alert came with, beside its fields."""

    subject: str
    headers: Mapping[str, str]
    event: CloudEvent
    size: int


class _Json(NamedTuple):
    """A body as read: at once, or leniently and with what was passed over."""

    data: Any
    strict: bool = True
    faults: tuple[str, ...] = ()


_NO_EVENT = CloudEvent({}, None, None, {})
_FINGERPRINT = "fingerprint"
"""A field of the body, or else an extension attribute of the CloudEvent."""
_NAMES = {str: "text", list: "a list", bool: "true or false", type(None): "null"}


def _json(body: bytes) -> _Json:
    with suppress(ValueError, RecursionError):
        data = strictly(body.decode("utf-8"))
        return _Json(data if is_plain(body) else storable(data))
    try:
        data, faults = read_json(body)
    except ValueError as error:
        raise UnreadableAlert(str(error)) from error
    return _Json(storable(data), False, faults)


def _told(unread: Mapping[str, str]) -> Iterable[str]:
    return (f"{name} ({fault})" for name, fault in unread.items())


def _mended(data: Mapping[str, Any], sent: _Sent, faults: Sequence[str]) -> Alert:
    """An alert of the fields that can be read."""
    fields, written = read_fields(data), as_written(data)
    read = dict(fields.read)
    if "summary" in fields.unread:
        read["summary"] = f"Alert without a summary from {source_of(sent.subject) or 'an unnamed source'}"
        read.setdefault("description", f"What was sent: {quoted(written)}")
    told = (*faults, *_told(fields.unread))
    return _alert(AlertBody.model_construct(**read), sent, written, told, frozenset(fields.unread))


def _alert(
    read: AlertBody, sent: _Sent, data: Any, faults: Sequence[str], unread: frozenset[str] = frozenset()
) -> Alert:
    title = " ".join(read.summary.split())
    description = read.description
    if len(title) > TITLE_LIMIT:
        description = title if description is None else f"{title}\n\n{description}"
        title = title[: TITLE_LIMIT - 1] + "…"
    metadata = read.metadata or {}
    # What came within a sixth of the limit stays within it: escapes, spaces and long numbers take less than that.
    if sent.size > ALERT_LIMIT or (sent.size > _TEXT_LIMIT // 6 and len(json.dumps(metadata)) > _TEXT_LIMIT):
        metadata = {"shortened": f"Pager left out the metadata of an alert of {sent.size} bytes"}
    source = source_of(sent.subject)
    event_source, event_id = _identity(sent, source)
    named = read.fingerprint or storable(sent.event.attributes.get(_FINGERPRINT))  # a header may hold what no table can
    if named is not None and len(named) > KEY_LIMIT:
        named, unread = None, unread | {_FINGERPRINT}
        faults = (*faults, f"{_FINGERPRINT} (longer than {KEY_LIMIT} characters)")
    unread |= {_FINGERPRINT} & set(sent.event.unread)
    labels = read.labels or {}
    return Alert(
        source=source,
        action=read.action,
        title=title,
        description=_with_faults(shortened(description, sent.size), faults),
        priority=_priority(read, sent.subject),
        # What tells an alert from all others of its integration groups it as well, where nothing else does.
        dedup_key=read.dedup_key or (None if "dedupKey" in unread else named),
        routing_key=read.routing_key,
        metadata=metadata,
        occurred_at=read.occurred_at or sent.event.time,
        event_source=event_source,
        event_id=event_id,
        body_digest=sha256(to_json(data)).hexdigest() if event_id else "",
        traceparent=_traceparent(sent.headers, sent.event.attributes),
        fingerprint=named or fingerprint_of(labels),
        labels=bounded_labels(labels) if labels else {},
        links=bounded_links(read.links) if read.links else (),
        unread=unread,
    )


def _identity(sent: _Sent, source: str) -> tuple[str, str] | tuple[None, None]:
    """(source, id) of a CloudEvent, else of the message; each must be a text that is not empty."""
    event_id, event_source = sent.event.attributes.get("id"), sent.event.attributes.get("source")
    if event_id and event_source:
        return event_source, event_id
    message_id = sent.headers.get(Header.MESSAGE_ID)
    return (source, message_id) if message_id and message_id.strip() else (None, None)


def _priority(read: AlertBody, subject: str) -> Priority:
    named = (read.priority or read.severity or "").strip().lower()
    return _PRIORITIES.get(named) or subject_priority(subject)


def subject_priority(subject: str) -> Priority:
    """What the subject says where the body does not; a machine's default is high."""
    return Priority(subject.rpartition(".")[2]) if is_urgent(subject) else Priority.HIGH


def _with_faults(description: str | None, faults: Sequence[str]) -> str | None:
    if not faults:
        return description
    line = f"[Pager could not read: {', '.join(faults)}]"
    return f"{description}\n\n{line}" if description else line


def shortened(text: str | None, size: int) -> str | None:
    """At most 64 KiB of UTF-8 and 320 KiB of JSON, with a mark that says how long the whole alert was."""
    raw = (text or "").encode()
    room = _TEXT_LIMIT
    if len(raw) > _WRITTEN_LIMIT // 6 and len(to_json(raw[:room].decode("utf-8", "ignore"))) > _WRITTEN_LIMIT:
        room = _WRITTEN_LIMIT // 6
    if text is None or len(raw) <= room:
        return text
    return raw[:room].decode("utf-8", "ignore") + f"… [shortened by Pager: the alert had {size} bytes]"


def _traceparent(headers: Mapping[str, str], attributes: Mapping[str, str]) -> str | None:
    given = next((v for k, v in headers.items() if k.lower() == Header.TRACEPARENT), attributes.get("traceparent"))
    parts = (given or "").split("-")
    valid = (
        len(parts) == 4 and [len(p) for p in parts] == [2, 32, 16, 2] and set("".join(parts)) <= set("0123456789abcdef")
    )
    return given if valid else None
