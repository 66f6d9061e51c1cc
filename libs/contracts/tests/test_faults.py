"""Faults are told in our words, one sentence for each kind that pydantic knows and a field of ours can have."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core.core_schema import ErrorType

from libs.contracts.escalation import Level
from libs.contracts.faults import SENTENCES, first_fault
from libs.contracts.model import SentMoment, WallClock
from libs.contracts.oncall import Restriction
from libs.contracts.reviews import ReviewChange
from libs.contracts.streaming import ClientFrame


def told(kind: Any, raw: str) -> tuple[str, str]:
    with pytest.raises(ValidationError) as found:
        TypeAdapter(kind).validate_json(raw, strict=True)
    return first_fault(found.value.errors())


def test_the_table_names_kinds_that_there_are() -> None:
    assert set(SENTENCES) <= set(get_args(ErrorType))


@pytest.mark.parametrize(
    ("raw", "path", "sentence"),
    [
        ("{}", "timeoutMinutes", "is required"),
        ('{"timeoutMinutes": "5"}', "timeoutMinutes", "must be a number"),
        ('{"timeoutMinutes": 0.01}', "timeoutMinutes", "must be at least 0.05"),
        ('{"timeoutMinutes": 10081}', "timeoutMinutes", "must be at most 10080"),
        ('{"timeoutMinutes": 5, "targets": []}', "targets", "must have at least 1 entry"),
        ('{"timeoutMinutes": 5, "targets": [{"type": "dog"}]}', "targets.0.type",
         "must be one of schedule, user, role, team"),
        ('{"timeoutMinutes": 5, "targets": [{"type": "user", "id": "me"}]}', "targets.0.id",
         "must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000"),
        ('{"timeoutMinutes": 5, "timeoutMinutesByPriority": {"odd": 5}, "targets": [{"type": "user"}]}',
         "timeoutMinutesByPriority.odd", "must be one of critical, high, medium, low"),
        ('{"timeoutMinutes": 5, "targets": [{"type": "user"}], "rule": "all"}', "rule", "there is no such field"),
        ("[]", "", "must be an object"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_on_the_wire(raw: str, path: str, sentence: str) -> None:
    assert told(Level, raw) == (path, sentence)


@pytest.mark.parametrize(
    ("raw", "path", "sentence"),
    [
        ('{"type": "subscribe"}', "type", "must be one of authenticate, ping"),
        ('{"type": ["ping"]}', "type", "must be one of authenticate, ping"),
        ("{}", "type", "is required"),
        ("[]", "", "must be an object"),
    ],
)
def test_a_kind_that_there_is_not_is_the_fault_of_the_field_that_says_it(raw: str, path: str, sentence: str) -> None:
    assert told(ClientFrame, raw) == (path, sentence)


def test_no_text_is_an_empty_one_and_not_a_list_without_entries() -> None:
    assert told(ReviewChange, '{"text": ""}') == ("text", "must not be empty")


def test_a_fault_has_the_name_that_the_wire_has() -> None:
    path, sentence = told(Restriction, '{"from": "24:00", "duration": "PT8H"}')
    assert (path, sentence) == ("from", "must be a time of the day, such as 22:00")


def test_a_name_that_is_as_long_as_a_body_is_not_repeated() -> None:
    path, _ = told(Restriction, f'{{"from": "09:00", "duration": "PT8H", "{"x" * 5000}": 1}}')
    assert path == f"{'x' * 100}…"


@pytest.mark.parametrize(
    "written", ["2026-10-19T09:00:00Z", "2026-10-19t09:00:00.25+02:00", "2026-10-19 09:00:00-00:00"]
)
def test_a_moment_is_written_as_rfc_3339_has_it(written: str) -> None:
    assert TypeAdapter(SentMoment).validate_json(f'"{written}"', strict=True).utcoffset() is not None


@pytest.mark.parametrize(
    "raw",
    ["1767225600", "1767225600000", '"1767225600"', '"2026-10-19"', '"2026-10-19T09:00:00"', '"2026-02-30T09:00:00Z"',
     '"2026-10-19T09:00:60Z"', '"09:00"', "true", '"٢٠٢٦-10-19T09:00:00Z"'],
)  # fmt: skip
def test_anything_else_is_no_moment(raw: str) -> None:
    assert told(SentMoment, raw) == ("", "must be an RFC 3339 time with its offset, such as 2026-10-19T09:00:00Z")


def test_a_wall_clock_has_no_offset() -> None:
    assert TypeAdapter(WallClock).validate_json('"2026-10-19T09:00"', strict=True).tzinfo is None
    for raw in ('"2026-10-19T09:00Z"', '"2026-10-19T09:00+02:00"', '"2026-02-30T09:00"', "1767225600", '"2026-10-19"'):
        assert told(WallClock, raw) == ("", "must be a local time without an offset, such as 2026-10-19T09:00")
