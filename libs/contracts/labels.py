"""What an alert carries beside its text, bounded: labels and links, and the fingerprint that labels make."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic import Field
from pydantic_core import to_json

from libs.contracts.model import Contract

MOST_LABELS, NAME_LIMIT, VALUE_LIMIT = 50, 64, 255
MOST_LINKS, HREF_LIMIT, TEXT_LIMIT = 10, 2048, 100
"""Characters, and how many."""
_LABELS_ROOM, _LINKS_ROOM = 16 * 1024, 8 * 1024
"""Bytes as JSON, which spells some characters with six: with the longest of everything else an event still fits."""
BRIEF_LIMIT = 4096
"""Characters of the description of each further alert of an incident: it may have many."""
FROM_LABELS = "labels:"
_FOLLOWED = r"^[Hh][Tt][Tt][Pp][Ss]?://[!-~]+$"
_HREF = re.compile(_FOLLOWED)


class Link(Contract):
    """Where to read more: a dashboard, a runbook. Only http and https, so that a tap does nothing else."""

    href: str = Field(pattern=_FOLLOWED, max_length=HREF_LIMIT)
    text: str | None = None


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last of which says so where some are missing."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def brief(description: str | None) -> str | None:
    """Of a further alert, with a mark that says how long it was."""
    if description is None or len(description) <= BRIEF_LIMIT:
        return description
    return f"{description[:BRIEF_LIMIT]}… [shortened by Pager: {len(description)} characters]"


def labels_in(value: Any) -> dict[str, str]:
    """Texts by name; numbers and truth values count as what is written, and a list as names alone.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, list):
        return {name: "" for found in value if (name := _label(found)) is not None}
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return {str(name): text for name, found in value.items() if (text := _label(found)) is not None}


def _label(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None


def links_in(value: Any) -> list[Link]:
    """Those that can be followed; a text alone is an address.

    Raises:
        ValueError: it is no list.
    """
    if not isinstance(value, list):
        raise ValueError("not a list")
    return [link for found in value if (link := _link(found)) is not None]


def _link(value: Any) -> Link | None:
    one = {"href": value} if isinstance(value, str) else value if isinstance(value, dict) else {}
    href, text = one.get("href"), one.get("text")
    if not isinstance(href, str) or len(href) > HREF_LIMIT or not _HREF.fullmatch(href):
        return None
    return Link(href=href, text=text if isinstance(text, str) else None)


def bounded_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """The first by name, each cut where it is too long; one more says how many were left out."""
    kept: dict[str, str] = {}
    room = _LABELS_ROOM
    names = sorted(labels)
    for number, name in enumerate(names):
        shown, text = cut(name, NAME_LIMIT), cut(labels[name], VALUE_LIMIT)
        room -= len(to_json({shown: text}))
        if number == MOST_LABELS or room < 0:
            return kept | {"…": f"{len(names) - number} more were left out by Pager"}
        kept[shown] = text
    return kept


def bounded_links(links: Sequence[Link]) -> tuple[Link, ...]:
    """The first ones that there is room for."""
    kept: list[Link] = []
    room = _LINKS_ROOM
    for one in links[:MOST_LINKS]:
        link = Link(href=one.href, text=one.text and cut(one.text, TEXT_LIMIT))
        room -= len(link.to_json())
        if room < 0:
            break
        kept.append(link)
    return tuple(kept)


def fingerprint_of(labels: Mapping[str, str]) -> str | None:
    """What labels make of an alert: the same ones are the same alert, in whatever order; None: there are none."""
    if not labels:
        return None
    return FROM_LABELS + sha256(to_json(sorted(labels.items()))).hexdigest()[:32]
