"""Where a client stands: a place in each lane that is read, and what its caller sees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from libs.contracts.streaming import LONGEST_POSITION

_NUMBER = r"[0-9]{1,18}"
_FORM: Final = re.compile(rf"({_NUMBER}-{_NUMBER}(?:\.{_NUMBER}-{_NUMBER}){{0,7}})~([0-9a-f]{{8}})")


class Place(NamedTuple):
    """In one lane of a log. Places of one lane are in order, those of a later epoch after all earlier ones."""

    epoch: int
    position: int


NOWHERE: Final = Place(0, 0)
Places = Sequence[Place]
"""One of each lane that is read, in the order of `feeds.LANES`."""


class Standing(NamedTuple):
    """What a client's position says."""

    places: Places
    rights: str
    """A hash of what its caller saw, so that whoever sees more or less than then lists again."""


def text_of(places: Places) -> str:
    """The first part of a position; `position` is the whole."""
    return ".".join(f"{place.epoch}-{place.position}" for place in places)


def position(places: str, rights: str) -> str:
    return f"{places}~{rights}"


def read_position(text: str) -> Standing | None:
    """None: it is none of ours."""
    found = _FORM.fullmatch(text) if len(text) <= LONGEST_POSITION else None
    if found is None:
        return None
    pairs = (one.partition("-") for one in found[1].split("."))
    return Standing(tuple(Place(int(epoch), int(at)) for epoch, _, at in pairs), found[2])
