"""How people name an incident: `17`, `#17`, its id, or the beginning of its id."""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

LEAST_DIGITS: Final = 4
_MOST_DIGITS: Final = len(str(2**63 - 1))
"""Any number of fewer digits fits into PostgreSQL's bigint."""


class IncidentKey(NamedTuple):
    """A number, or the lowest and the highest id that it may be; both for `96752274`: an id may begin like this.

    Then the number is meant where an incident has it.
    """

    number: int | None = None
    ids: tuple[UUID, UUID] | None = None


def read_key(text: str) -> IncidentKey:
    """Raises ValueError with what was expected."""
    key = text.strip().lower()
    plain = key.removeprefix("#")
    number = int(plain) if plain.isascii() and plain.isdigit() and len(plain) < _MOST_DIGITS else None
    digits = plain.replace("-", "")
    ids = None
    if plain == key and LEAST_DIGITS <= len(digits) <= 32 and all(d in "0123456789abcdef" for d in digits):
        ids = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    if number is None and ids is None:
        raise ValueError(
            f"{text!r} is no incident: give its number, its id, or {LEAST_DIGITS} or more digits of the id"
        )
    return IncidentKey(number, ids)
