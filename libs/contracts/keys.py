"""How people name an incident: `17`, `#17`, its id, or the beginning of its id."""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import UUID

LEAST_DIGITS: Final = 4
_LARGEST: Final = 2**63 - 1


class IncidentKey(NamedTuple):
    """Either a number, or the lowest and the highest id that it may be."""

    number: int | None = None
    ids: tuple[UUID, UUID] | None = None


def read_key(text: str) -> IncidentKey:
    """Raises ValueError with what was expected. Digits alone are a number."""
    plain = text.strip().removeprefix("#").lower()
    if plain.isascii() and plain.isdigit() and int(plain) <= _LARGEST:
        return IncidentKey(number=int(plain))
    digits = plain.replace("-", "")
    if not LEAST_DIGITS <= len(digits) <= 32 or any(d not in "0123456789abcdef" for d in digits):
        raise ValueError(
            f"{text!r} is no incident: give its number, its id, or {LEAST_DIGITS} or more digits of the id"
        )
    return IncidentKey(ids=(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))))
