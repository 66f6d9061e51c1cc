"""What strangers wrote is shown, never obeyed: no terminal and no log does what a sender's text tells it to do."""

from __future__ import annotations

import json
import re
from typing import Final

_OBEYED: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # control characters: ESC begins what moves a cursor or sets a title (ECMA-48)
    "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # bidirectional (UAX 9), unseen
    "\ud800-\udfff"  # half of a pair: no encoding has it
    "\U000e0000-\U000e007f]"  # tags, which nothing shows
)
"""Joiners (U+200C, U+200D) are no part of it: scripts and emoji need them, and they move nothing."""


def printable(text: str) -> str:
    r"""One line that only shows: what a terminal would obey, or hide, is written as `\x1b`, `\n`, `\u202e`."""
    return _OBEYED.sub(_escaped, text)


def printable_lines(text: str) -> str:
    """The same for a text of ours that has several lines: they stay."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def printable_json(text: str) -> str:
    r"""A JSON text that says the same and only shows: such characters become `\u…` (RFC 8259, section 7).

    Line ends between its values stay.
    """
    return _OBEYED.sub(_escaped_in_json, text)


def _escaped_in_json(found: re.Match[str]) -> str:
    return found[0] if found[0] in "\n\r\t" else json.dumps(found[0])[1:-1]
