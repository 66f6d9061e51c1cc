"""An alert that is not as it should be: whatever can be read of it is used, and its description says what was not."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.contracts.alerts import Action, Alert, UnreadableAlert, read_alert
from libs.contracts.leniency import storable
from libs.contracts.model import Priority

_HUGE = "9" * 10_000


def read(body: object, headers: dict[str, str] | None = None, subject: str = "pager.alerts.db") -> Alert:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_alert(subject, headers or {}, raw)


@pytest.mark.parametrize(
    ("field", "written", "told"),
    [
        ("dedupKey", '""', "empty"),
        ("dedupKey", '" "', "empty"),
        ("dedupKey", "[42]", "not text"),
        ("dedupKey", "true", "not text"),
        ("dedupKey", "1e400", "not text"),
        ("dedupKey", _HUGE, "not text"),
        ("dedupKey", json.dumps("k" * 1025), "longer than 1024 characters"),
        ("routingKey", '""', "empty"),
        ("routingKey", "[[]]", "not text"),
        ("description", "NaN", "not text"),
        ("description", '{"a": 1}', "not text"),
        ("severity", "false", "not text"),
        ("metadata", "[]", "not an object"),
        ("metadata", '"none"', "not an object"),
        ("metadata", '{"load": NaN}', "a number that cannot be held, kept as text"),
        ("metadata", '{"load": [1e400]}', "a number that cannot be held, kept as text"),
        ("metadata", f'{{"load": {_HUGE}}}', "a number that cannot be held, kept as text"),
        ("action", '"explode"', "unknown, taken as trigger"),
        ("action", "7", "not text, taken as trigger"),
        ("occurredAt", '"2026-03-02T09:00:00"', "not a time with an offset"),
        ("occurredAt", '"yesterday"', "not a time with an offset"),
        ("occurredAt", "1700000000", "not a time with an offset"),
        ("occurredAt", '"1700000000"', "not a time with an offset"),
        ("occurredAt", '"0001-01-01T00:00:00+01:00"', "not a time with an offset"),
        ("occurredAt", '"9999-12-31T23:59:59-01:00"', "not a time with an offset"),
    ],
)
def test_an_optional_field_that_cannot_be_read_is_left_out_and_named(field: str, written: str, told: str) -> None:
    alert = read(f'{{"summary": "db down", "priority": "critical", "{field}": {written}}}'.encode())
    assert (alert.title, alert.priority, alert.action) == ("db down", Priority.CRITICAL, Action.TRIGGER)
    assert alert.description == f"[Pager could not read: {field} ({told})]"
    assert (alert.dedup_key, alert.routing_key, alert.occurred_at) == (None, None, None)
    json.loads(alert.to_json(), parse_constant=pytest.fail)


def test_everything_else_is_still_used() -> None:
    alert = read({"summary": "x", "priority": [], "severity": "P3", "dedupKey": "k", "routingKey": "r", "metadata": []})
    assert (alert.priority, alert.dedup_key, alert.routing_key) == (Priority.MEDIUM, "k", "r")


def test_a_number_that_nothing_can_hold_is_kept_as_text() -> None:
    metadata = read(f'{{"summary": "x", "metadata": {{"a": [NaN, -1e400], "b": {_HUGE}, "c": 1.5}}}}'.encode()).metadata
    assert metadata == {"a": ["NaN", "-1e400"], "b": _HUGE, "c": 1.5}


@pytest.mark.parametrize(
    ("action", "meant"),
    [("ACK", Action.ACKNOWLEDGE), (" Acknowledged", Action.ACKNOWLEDGE), ("RESOLVED", Action.RESOLVE)],
)
def test_an_action_may_be_spelled_otherwise(action: str, meant: Action) -> None:
    alert = read({"summary": "x", "action": action})
    assert (alert.action, alert.description) == (meant, None)
    assert read({"summary": "x", "action": None}).action is Action.TRIGGER


@pytest.mark.parametrize(
    "summary", [b"", b'"summary": " ",', b'"summary": null,', b'"summary": 7,', b'"summary": NaN,']
)
def test_without_a_summary_all_the_rest_is_used(summary: bytes) -> None:
    alert = read(b'{%b "priority": "critical", "dedupKey": "k", "routingKey": "a-key", "note": "disk"}' % summary)
    assert alert.title == "Alert without a summary from db"
    assert (alert.priority, alert.dedup_key, alert.routing_key) == (Priority.CRITICAL, "k", "a-key")
    assert alert.description is not None
    assert '"note": "disk"' in alert.description, "it shows what was sent"
    assert "a-key" not in alert.description
    assert "[Pager could not read: summary (" in alert.description


@pytest.mark.parametrize(
    ("body", "title"),
    [
        (b'\xef\xbb\xbf{"summary": "after a mark"}', "after a mark"),
        (b'{"summary": "caf\xe9"}', "caf\ufffd"),
        (b'{"summary": "two\nlines"}', "two lines"),
        (b'{"summary": "deep", "metadata": {"a": ' + b"[" * 5000 + b"1" + b"]" * 5000 + b', "b": 2}}', "deep"),
        (b'{"metadata": ' + b'{"]":' * 5000 + b"1" + b"}" * 5000 + b', "summary": "deep"}', "deep"),
    ],
)
def test_a_body_that_is_not_quite_json_is_read_all_the_same(body: bytes, title: str) -> None:
    assert read(body).title == title


def test_what_follows_something_nested_without_end_is_read() -> None:
    body = b'{"metadata": {"a": ' + b"[" * 5000 + b'"]"' + b"]" * 5000 + b', "b": 2}, "summary": "deep"}'
    metadata = read(body).metadata
    assert metadata["b"] == 2
    assert "nested too deeply" in json.dumps(metadata)


@pytest.mark.parametrize(
    "headers",
    [
        {"ce-specversion": "0.3"},
        {"ce-specversion": "1.0", "ce-Bad_Name": "x", "ce-id": "%ff", "ce-source": "/s"},
        {"content-type": "application/cloudevents+json"},
        {"content-type": "application/cloudevents-batch+json"},
    ],
)
def test_a_broken_cloud_event_is_still_an_alert(headers: dict[str, str]) -> None:
    alert = read({"summary": "x"}, headers)
    assert (alert.title, alert.event_id) == ("x", None)


@pytest.mark.parametrize("time", ["1700000000", "yesterday", "9999-12-31T23:59:59-01:00", "2026-01-01T00:00:00"])
def test_the_time_of_a_cloud_event_is_a_time_or_left_out(time: str) -> None:
    alert = read({"summary": "x"}, {"ce-id": "1", "ce-source": "/s", "ce-time": time})
    assert (alert.title, alert.occurred_at) == ("x", None)
    assert alert.description == "[Pager could not read: time (not a time with an offset)]"
    number = {"id": "1", "source": "/s", "time": 1700000000, "data": {"summary": "x"}}
    assert read(number, {"content-type": "application/cloudevents+json"}).occurred_at is None
    exact = read({"summary": "x"}, {"ce-time": "2026-01-01t01:00:00+01:00"})
    assert exact.occurred_at == datetime(2026, 1, 1, tzinfo=UTC)


_OPTIONAL = (
    "priority", "severity", "dedupKey", "dedup_key", "description", "routingKey", "routing_key", "action", "metadata",
    "occurredAt", "extra",
)  # fmt: skip
_ODD = (
    "NaN",
    "-Infinity",
    "1e400",
    _HUGE,
    "-" + _HUGE,
    "-" + "9" * 4300,
    '"\\ud800"',
    '"\\u0000"',
    '"0001-01-01T00:00:00+01:00"',
    "[[]]",
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.sampled_from(list(Action)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_VALUES = _JSON.map(json.dumps) | st.sampled_from(_ODD) | st.sampled_from(_ODD).map(lambda odd: f'{{"a": [{odd}]}}')
_NAMES = st.sampled_from(
    ("ce-id", "ce-source", "ce-time", "ce-specversion", "ce-x_y", "CE-ID", "Nats-Msg-Id", "subject", "traceparent")
) | st.text(max_size=8)
_TYPES = st.sampled_from(("application/json", "application/cloudevents+json", "application/cloudevents-batch+json"))
_HEADERS = st.dictionaries(_NAMES, st.text(max_size=40) | st.sampled_from(("%ff", "%00", "1.0"))) | _TYPES.map(
    lambda kind: {"Content-Type": kind}
)


@given(st.text().filter(str.strip), st.dictionaries(st.sampled_from(_OPTIONAL), _VALUES), _HEADERS, st.integers(0, 3))
@example("db down", {"occurredAt": '"9999-12-31T23:59:59-01:00"'}, {}, 0)
@example("db down", {"metadata": '{"a": [1e400]}'}, {}, 0)
@example("db down", {"metadata": f'{{"a": -{"9" * 4300}}}'}, {}, 0)
def test_whenever_the_summary_is_a_text_it_is_the_title(
    summary: str, fields: dict[str, str], headers: dict[str, str], place: int
) -> None:
    written = [f'"{name}": {value}' for name, value in fields.items()]
    written.insert(place, f'"summary": {json.dumps(summary)}')
    alert = read_alert("pager.alerts.db", headers, ("{" + ", ".join(written) + "}").encode())
    expected = " ".join(storable(summary).split())
    assert alert.title == (expected if len(expected) <= 255 else expected[:254] + "…")
    kept = alert.model_copy(update={"event_source": None, "event_id": None}).to_json()  # of these only a hash is kept
    json.loads(kept, parse_constant=pytest.fail)
    assert b"\\u0000" not in kept
    assert Alert.model_validate_json(alert.to_json()) == alert, "what is stored is what was read"


@given(st.binary(), _HEADERS)
def test_any_bytes_are_an_alert_or_are_refused_as_input(body: bytes, headers: dict[str, str]) -> None:
    with suppress(UnreadableAlert):
        read_alert("pager.alerts.db", headers, body)


def test_a_key_that_is_a_whole_number_is_the_name_that_it_is() -> None:
    assert read({"summary": "x", "dedupKey": 42}).dedup_key == "42"


@pytest.mark.parametrize(
    "body",
    [
        {"data": json.dumps({"routingKey": "SECRET"})},
        {"payload": {"RoutingKey": "SECRET"}},
        {"headers": {"routing-key": "SECRET"}},
        {"x": [{"routing_key": ["SECRET"]}]},
    ],
)
def test_a_key_is_quoted_at_no_depth(body: dict[str, object]) -> None:
    assert "SECRET" not in str(read(body).description)
