"""Answers as CSV (RFC 4180) that a spreadsheet opens as the texts and numbers that they are, and as no formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from pydantic.alias_generators import to_camel

from libs.contracts.model import Contract

MEDIA_TYPE: Final = "text/csv"
_WIDE: Final = "\uff1d\uff0b\uff0d\uff20"
"""The same signs as wide as a Chinese character, which spreadsheets there take for them."""
_FORMULA: Final = re.compile(rf'(^|[;\t\r\n])(["\s]*)(?=[-=+@{_WIDE}])')
"""What a cell begins with that a spreadsheet would compute (OWASP, CSV Injection): senders write titles and keys.

Half of the world's spreadsheets divide at semicolons, or at tabs, and take no quote in the middle of a cell for one:
there another cell may begin within ours.
"""
WHOLE: Final = "total"


def of(view: Contract) -> str:
    """One table of all that an answer has: a row for the whole, and one for each entry of its lists.

    `section` says which list a row is of, behind the part that it is in; columns that it does not have are empty.
    """
    rows = [{"section": section} | values for section, values in _sections(view)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    written = io.StringIO()
    table = csv.DictWriter(written, columns, restval="", lineterminator="\r\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return written.getvalue()


def _sections(view: Contract, of_part: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    values = {name: getattr(view, name) for name in type(view).model_fields}
    parts = {name: value for name, value in values.items() if isinstance(value, Contract)}
    lists = {name: value for name, value in values.items() if isinstance(value, tuple)}
    whole = {_column(view, name): value for name, value in values.items() if name not in parts | lists}
    if whole:
        yield of_part + WHOLE, whole
    for name, part in parts.items():
        yield from _sections(part, f"{of_part}{to_camel(name)}.")
    for name, entries in lists.items():
        for entry in entries:
            row = {_column(entry, field): getattr(entry, field) for field in type(entry).model_fields}
            yield of_part + to_camel(name), row


def _column(view: Contract, name: str) -> str:
    return type(view).model_fields[name].alias or to_camel(name)


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return value
    if isinstance(value, Enum):
        value = value.value
    text = value.isoformat().replace("+00:00", "Z") if hasattr(value, "isoformat") else str(value)
    text = _FORMULA.sub(r"\1\2'", text)
    return f"'{text}" if text.startswith(("\t", "\r", "\n")) else text
