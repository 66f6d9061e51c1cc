"""How replayed events are written."""

from enum import StrEnum


class FormName(StrEnum):
    """A line an event: in words for people, or as data (docs/adr/0019)."""

    TEXT = "text"
    JSONL = "jsonl"
    CSV = "csv"
