"""What is wrong with a request, in our words: one sentence for each kind of fault that pydantic finds.

A sentence goes on where the field's name stops: "timezone: must be text".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from libs.contracts.texts import EXPECTED

Sentence = str | Callable[[Mapping[str, Any]], str]

_TIME = "must be an RFC 3339 time with its offset, such as 2026-10-19T09:00:00Z"
_ID = "must be a UUID, such as 550e8400-e29b-41d4-a716-446655440000"
_WHOLE = "must be a whole number"
_LIST = "must be a list"
_OBJECT = "must be an object"
_FLAG = "must be true or false"
_NUMBER = "must be a number"
_TEXT = "must be text"
_NAME = 100
"""Characters of a field's name that are repeated."""
OTHERWISE: Final = "is not valid"
"""What is left: kinds of faults that no type of ours has."""


def _one_of(context: Mapping[str, Any]) -> str:
    """`'high' or 'low'` without its quotes."""
    return "must be one of " + ", ".join(re.findall(r"'([^']*)'", str(context["expected"])))


def _one_tag(context: Mapping[str, Any]) -> str:
    return _one_of({"expected": context["expected_tags"]})


def _ours(context: Mapping[str, Any]) -> str:
    """A validator's own words."""
    return str(context["error"])


def _form(context: Mapping[str, Any]) -> str:
    return EXPECTED.get(str(context["pattern"]), f"must be of the form {context['pattern']}")


SENTENCES: Final[Mapping[str, Sentence]] = {
    "missing": "is required",
    "json_invalid": "is not valid JSON",
    "extra_forbidden": "there is no such field",
    "value_error": _ours,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "invalid_key": _TEXT,
    "tuple_type": _LIST,
    "list_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "string_type": _TEXT,
    "string_unicode": _TEXT,
    "string_too_short": lambda c: (
        "must not be empty" if c["min_length"] == 1 else _characters("least", c["min_length"])
    ),
    "string_too_long": lambda c: _characters("most", c["max_length"]),
    "string_pattern_mismatch": _form,
    "enum": _one_of,
    "literal_error": _one_of,
    "union_tag_invalid": _one_tag,
    "union_tag_not_found": "is required",
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": lambda c: f"must be more than {_number(c['gt'])}",
    "greater_than_equal": lambda c: f"must be at least {_number(c['ge'])}",
    "less_than": lambda c: f"must be less than {_number(c['lt'])}",
    "less_than_equal": lambda c: f"must be at most {_number(c['le'])}",
    "too_short": lambda c: f"must have at least {_entries(c['min_length'])}",
    "too_long": lambda c: f"must have at most {_entries(c['max_length'])}",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_object_invalid": _TIME,
    "datetime_from_date_parsing": _TIME,
    "timezone_aware": _TIME,
    "timezone_naive": "must be a local time without an offset, such as 2026-10-19T09:00",
    "uuid_type": _ID,
    "uuid_parsing": _ID,
    "uuid_version": _ID,
}
"""By pydantic's name of the kind of fault; a function is given its context."""


def first_fault(errors: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The first fault that pydantic lists (with its context): the dotted path of its field on the wire, and a sentence.

    The path is empty where the fault is with the whole. Nothing that was sent is quoted but names of fields.
    """
    first = errors[0]
    context = first.get("ctx", {})
    # Where a field says which of several kinds something is, the fault is that field's.
    told_by = (context["discriminator"].strip("'"),) if "discriminator" in context else ()
    path = ".".join(_name(part) for part in (*first["loc"], *told_by) if part != "[key]")
    sentence = SENTENCES.get(first["type"], OTHERWISE)
    return path, sentence if isinstance(sentence, str) else sentence(context)


def _name(part: str | int) -> str:
    """A name may be as long as a body."""
    name = str(part)
    return name if len(name) <= _NAME else f"{name[:_NAME]}…"


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _characters(bound: str, number: int) -> str:
    return f"must have at {bound} {number} character{'s' if number != 1 else ''}"


def _entries(number: int) -> str:
    return f"{number} entr{'ies' if number != 1 else 'y'}"
