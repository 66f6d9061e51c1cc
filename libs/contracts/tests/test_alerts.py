"""Alerts as senders write them, well and badly."""

from __future__ import annotations

import json

import pytest

from libs.contracts.alerts import Action, Alert, UnreadableAlert, is_urgent, read_alert, source_of
from libs.contracts.leniency import is_plain, storable
from libs.contracts.model import Priority


def read(body: object, headers: dict[str, str] | None = None, subject: str = "pager.alerts.db") -> Alert:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_alert(subject, headers or {}, raw)


def test_a_plain_alert_needs_only_a_summary() -> None:
    alert = read({"summary": "db down"})
    assert (alert.title, alert.priority, alert.action) == ("db down", Priority.HIGH, Action.TRIGGER)
    assert alert.dedup_key is None


@pytest.mark.parametrize(
    ("named", "priority"),
    [
        ("critical", Priority.CRITICAL),
        ("P1", Priority.CRITICAL),
        ("error", Priority.HIGH),
        ("P2", Priority.HIGH),
        ("warning", Priority.MEDIUM),
        ("P3", Priority.MEDIUM),
        ("info", Priority.LOW),
        ("P5", Priority.LOW),
        ("catastrophic", Priority.HIGH),
    ],
)
def test_priorities_of_other_pagers_are_understood(named: str, priority: Priority) -> None:
    assert read({"summary": "x", "severity": named}).priority is priority


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"\xff{}", "not valid UTF-8 at byte 0"),
        (b"[1]", "expected a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b"7", "a number"),
        (b'"db down"', "text"),
        (b"null", "null"),
        (b"", "not JSON"),
    ],
)
def test_what_cannot_be_read_is_named(body: bytes, reason: str) -> None:
    with pytest.raises(UnreadableAlert) as error:
        read(body)
    assert reason.lower() in str(error.value).lower()


def test_a_binary_cloud_event_has_an_identity() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "a%20b",
        "ce-source": "/prom",
        "ce-type": "x",
        "ce-time": "2026-01-01T00:00:00Z",
    }
    alert = read({"summary": "x"}, headers)
    assert (alert.event_source, alert.event_id) == ("/prom", "a b")
    assert alert.occurred_at is not None


def test_a_structured_cloud_event_carries_the_alert_in_its_data() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/prom", "type": "x", "data": {"summary": "db down"}}
    alert = read(event, {"Content-Type": "application/CloudEvents+json; charset=utf-8"})
    assert (alert.title, alert.event_id) == ("db down", "1")


def test_a_cloud_event_without_an_id_is_accepted() -> None:
    alert = read({"summary": "x"}, {"ce-specversion": "1.0", "ce-source": "/prom", "ce-type": "x"})
    assert (alert.event_source, alert.event_id) == (None, None)


@pytest.mark.parametrize("identity", [None, False, 7, "", " ", [], {"a": 1}])
def test_only_a_text_that_is_not_empty_is_an_identity(identity: object) -> None:
    headers = {"content-type": "application/cloudevents+json"}
    event = {"specversion": "1.0", "id": "1", "source": "/prom", "type": "x", "data": {"summary": "db down"}}
    for wrong in (event | {"id": identity}, event | {"source": identity}):
        alert = read(wrong, headers)
        assert (alert.title, alert.event_source, alert.event_id) == ("db down", None, None)


def test_the_message_id_of_a_plain_alert_is_its_id() -> None:
    alert = read({"summary": "x"}, {"Nats-Msg-Id": "shop/1"}, "pager.alerts.db.critical")
    assert (alert.event_source, alert.event_id) == ("db", "shop/1")
    assert read({"summary": "x"}, {"Nats-Msg-Id": " "}).event_id is None
    assert read({"summary": "x"}, {"Nats-Msg-Id": "shop/1"}).body_digest == alert.body_digest
    assert read({"summary": "y"}, {"Nats-Msg-Id": "shop/1"}).body_digest != alert.body_digest


def test_an_event_is_the_same_in_either_mode() -> None:
    data = {"summary": "x", "metadata": {"a": 1}, "unknown": 2}
    binary = read(data, {"ce-id": "1", "ce-source": "/s"})
    event = {"id": "1", "source": "/s", "data": data}
    structured = read(event, {"content-type": "application/cloudevents+json"})
    assert (structured.event_id, structured.body_digest) == ("1", binary.body_digest)
    assert read(data | {"unknown": 3}, {"ce-id": "1", "ce-source": "/s"}).body_digest != binary.body_digest


def test_where_the_body_names_no_priority_the_subject_does() -> None:
    assert read({"summary": "x"}, subject="pager.alerts.db.critical").priority is Priority.CRITICAL
    assert read({"summary": "x", "priority": "low"}, subject="pager.alerts.db.critical").priority is Priority.LOW


def test_a_long_alert_keeps_its_summary_and_is_marked() -> None:
    alert = read({"summary": "s" * 400, "description": "d" * 600_000, "metadata": {"k": "v" * 10}})
    assert len(alert.title) == 255
    assert alert.description is not None
    assert alert.description.startswith("s" * 400)
    assert "shortened by Pager" in alert.description
    assert "shortened" in alert.metadata
    assert len(alert.to_json()) < 200_000


def test_text_that_postgresql_cannot_hold_is_replaced() -> None:
    alert = read(b'{"summary": "a\\u0000b", "metadata": {"k\\u0000": ["\\ud800"]}}')
    assert alert.title == "a\ufffdb"
    assert alert.metadata == {"k\ufffd": ["?"]}


def test_metadata_that_nests_without_end_is_cut() -> None:
    body = b'{"summary": "x", "metadata": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}"
    assert "nested too deeply" in json.dumps(read(body).metadata)


@pytest.mark.parametrize(
    ("subject", "source", "urgent"),
    [
        ("pager.alerts.db", "db", False),
        ("pager.alerts.db.critical", "db", True),
        ("pager.alerts.db.high", "db", True),
        ("pager.alerts.db.eu.disk", "db.eu.disk", False),
        ("pager.alerts.critical", "critical", False),
        ("pager.alerts.db.eu.critical", "db.eu.critical", False),
    ],
)
def test_a_subject_names_the_source_and_the_lane(subject: str, source: str, urgent: bool) -> None:
    assert (source_of(subject), is_urgent(subject)) == (source, urgent)


@pytest.mark.parametrize("item", [b"1e15", "\u00e9".encode(), "\U0001f525".encode(), b"[]", b"\\n", b"{}"])
def test_metadata_that_came_short_never_become_too_long(item: bytes) -> None:
    quoted = item if item[:1] in b"1[{" else b'"' + item + b'"'
    count = 64 * 1024 // 6 // (len(quoted) + 1) - 20
    body = b'{"summary": "s", "metadata": {"a": [%b]}}' % b",".join([quoted] * count)
    metadata = read_alert("pager.alerts.db", {}, body).metadata
    assert len(metadata["a"]) == count
    assert len(json.dumps(metadata)) <= 64 * 1024


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "plain", "b": [1, {"c": null}]}',
        b'{"a": "\\u0000\\ud800", "\\u0000": 1}',
        b'{"a": "%b"}' % (b"[" * 40),
        b'{"a": %b%b}' % (b"[" * 31, b"]" * 31),
        b'{"a": %b%b}' % (b"[" * 40, b"]" * 40),
    ],
)
def test_what_is_taken_as_it_came_would_not_have_been_changed(body: bytes) -> None:
    value = json.loads(body)
    assert not is_plain(body) or storable(value) == value
