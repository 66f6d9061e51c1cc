"""What callers accept: the weighted lists of `Accept` and `Accept-Encoding` (RFC 9110, sections 12.4.2 and 12.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from starlette.requests import Request

from services.gateway.envelope import Problem

JSON: Final = "application/json"
VENDOR: Final = re.compile(r"application/vnd\.pager\.v([0-9]{1,4})\+json")
"""Ours, with the version that it names; which versions there are says `versions.py`."""
_MOST: Final = 64
"""Entries of a list that are read: browsers send eight."""
_NOTHING: Final = re.compile(r"q\s*=\s*0(\.0{0,3})?")


def wanted(lines: Iterable[str]) -> Sequence[str]:
    """The entries that are not refused by `;q=0`, in small letters and without parameters."""
    entries = (entry for line in lines for entry in line.lower().split(","))
    found: list[str] = []
    for entry, _ in zip(entries, range(_MOST), strict=False):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name and not any(_NOTHING.fullmatch(parameter) for parameter in parameters):
            found.append(name)
    return found


def covers(accepted: str, media_type: str) -> bool:
    """Whether an entry of `Accept` covers a media type; our own JSON, of whichever version, is JSON."""
    if VENDOR.fullmatch(accepted):
        return media_type == JSON
    kind = media_type.partition("/")[0]
    return accepted in ("*/*", "*", f"{kind}/*", media_type)


def check(request: Request, produced: Iterable[str]) -> None:
    """Raises Problem (406): the caller accepts nothing that there is."""
    lines = request.headers.getlist("accept")
    if not any(line.strip() for line in lines):
        return
    offered = tuple(produced)
    if not any(covers(accepted, media_type) for accepted in wanted(lines) for media_type in offered):
        raise Problem("NOT_ACCEPTABLE", f"there is {', '.join(offered)}", field="Accept")
