"""How many examples a property is tried with: all of them, or a tenth where the profile is `quick`."""

from __future__ import annotations

from hypothesis import settings

_ALL = 100
_QUICK = 10
"""Of a hundred."""


def register_profiles() -> None:
    """`full`, which holds unless another one is asked for with `--hypothesis-profile`, and `quick`."""
    settings.register_profile("full", max_examples=_ALL, deadline=None)
    settings.register_profile("quick", max_examples=_QUICK, deadline=None)
    settings.load_profile("full")


def examples(number: int) -> int:
    """As `max_examples`: this many, or the profile's share of them."""
    return number * settings().max_examples // _ALL
