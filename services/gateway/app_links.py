"""Which phone apps are ours: whose links open in them, and whose passwords they may fill in (settings)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

_APPLE: Final = re.compile(r"[A-Z0-9]{10}\.[A-Za-z0-9-]{1,64}(?:\.[A-Za-z0-9-]{1,64}){1,9}")
"""An app's id: the team's, and the bundle's."""
_PACKAGE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}(?:\.[A-Za-z][A-Za-z0-9_]{0,63}){1,9}")
"""An application id (developer.android.com, Configure the app module): two segments at least."""
_PRINT: Final = re.compile(r"(?:SHA256:)?((?:[0-9A-F]{2}:){31}[0-9A-F]{2})", re.IGNORECASE)
"""As `keytool -list` and the Play Console show it."""
_MOST: Final = 20
_NO_APPLE: Final = "expected app ids such as ABCDE12345.com.example.pager, separated by commas"
_NO_ANDROID: Final = (
    "expected package=fingerprint, separated by commas, with the SHA-256 of the certificate that signs the app "
    '(com.example.pager=14:6D:…), or the same as JSON: {"com.example.pager": ["14:6D:…"]}'
)


def apple_ids(given: str) -> tuple[str, ...]:
    """The ids, in their order. Raises ValueError."""
    found = tuple(dict.fromkeys(part.strip() for part in given.split(",") if part.strip()))
    if len(found) > _MOST or not all(_APPLE.fullmatch(one) for one in found):
        raise ValueError(_NO_APPLE)
    return found


def android_apps(given: str) -> Mapping[str, tuple[str, ...]]:
    """By packages, the fingerprints of their certificates. Raises ValueError."""
    found: dict[str, tuple[str, ...]] = {}
    for package, shown in _pairs(given):
        fingerprint = _PRINT.fullmatch(shown)
        if not _PACKAGE.fullmatch(package) or fingerprint is None:
            raise ValueError(_NO_ANDROID)
        # Signed for the store and by oneself, or one that takes another's place: one package, two of them.
        found[package] = tuple(dict.fromkeys((*found.get(package, ()), fingerprint[1].upper())))
    if len(found) > _MOST or any(len(prints) > _MOST for prints in found.values()):
        raise ValueError(_NO_ANDROID)
    return found


def _pairs(given: str) -> Iterable[tuple[str, str]]:
    if not given.strip().startswith("{"):
        parts = [part.strip().partition("=") for part in given.split(",") if part.strip()]
        return [(package.strip(), shown.strip()) for package, _, shown in parts]
    try:
        read: Any = json.loads(given)
    except (ValueError, RecursionError):
        raise ValueError(_NO_ANDROID) from None
    listed = {package: [shown] if isinstance(shown, str) else shown for package, shown in read.items()}
    if not all(
        isinstance(shown, list) and shown and all(isinstance(s, str) for s in shown) for shown in listed.values()
    ):
        raise ValueError(_NO_ANDROID)
    return [(package, one) for package, shown in listed.items() for one in shown]
