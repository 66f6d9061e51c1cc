"""How long something took, as people say it."""

from __future__ import annotations

from typing import Final

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def lasted(seconds: float) -> str:
    """`1 h 3 min`: the largest unit, and the next one if there is any of it; of less than nothing `0 s`."""
    left = max(0, round(seconds))
    number = next((n for n, (_, size) in enumerate(_UNITS) if left >= size), len(_UNITS) - 1)
    parts: list[str] = []
    for unit, size in _UNITS[number : number + 2]:
        if left >= size or not parts:
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts)
