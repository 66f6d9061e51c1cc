"""What may stand in a text that people or phones send and that we store."""

from __future__ import annotations

import unicodedata

from libs.contracts.requests import Invalid


def check_text(value: str, field: str) -> None:
    """Raises Invalid for control characters: PostgreSQL cannot store NUL, and the others forge lines of logs."""
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise Invalid("must not contain control characters", field=field)
