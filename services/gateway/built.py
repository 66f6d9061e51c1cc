"""The phone app as it was built, in memory from the start on: no request opens a file (docs/adr/0077)."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import structlog

from libs.chassis.requests.matching import digest

_log = structlog.get_logger()

FOLDER: Final = Path(__file__).resolve().parent / "webapp"
"""What `make app` makes of the sources, for the address `/app/`."""
INDEX: Final = "index.html"
_ASSETS: Final = "assets/"
_HASHED: Final = re.compile(rf"{_ASSETS}(?:.*/)?[^/]+-[A-Za-z0-9_-]{{8}}\.[a-z0-9]+")
"""Vite puts eight characters of a file's hash into its name: another content has another name."""
_SCREEN: Final = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9_~:@=-]{0,127}(?:/[A-Za-z0-9_~:@=-]{1,128}){0,7}/?")
_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wav": "audio/wav",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
"""Our own table: that of the system differs from machine to machine, and a module script of a wrong type is not run."""
_OTHER: Final = "application/octet-stream"
_LONGER: Final = (".css", ".html", ".ico", ".js", ".json", ".svg", ".txt", ".wav", ".webmanifest")
"""What gets shorter; the other kinds are compressed already."""
_SMALLEST: Final = 1024
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK: Final = "no-cache"
"""It may be kept, and is asked for again each time: the first file after a new version names its others."""


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes, the same compressed where that is worth it, and what its answer says."""

    body: bytes = field(repr=False)
    packed: bytes | None = field(repr=False)
    media_type: str
    headers: Mapping[str, str]

    @classmethod
    def of(cls, name: str, body: bytes) -> Self:
        suffix = Path(name).suffix.lower()
        # Without the time of the packing: each replica sends the same bytes.
        packed = gzip.compress(body, 9, mtime=0) if suffix in _LONGER and len(body) >= _SMALLEST else None
        # One tag for both forms, which is weak therefore (RFC 9110, section 8.8.1).
        headers = {
            "Cache-Control": _FOR_EVER if _HASHED.fullmatch(name) else _ASK,
            "ETag": f'W/"{digest(body)}"',
            "Vary": "Accept-Encoding",
        }
        return cls(body, packed, _TYPES.get(suffix, _OTHER), headers)


@dataclass(frozen=True)
class Built:
    """The files by their names below `/app/`; none where no app was built."""

    files: Mapping[str, File] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Self:
        """Everything in a folder but what has a dot before its name, and links that lead out of it; none where a file
        cannot be read: alerts and phones do not need it."""
        root = folder.resolve()
        try:
            names = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
            shown = {
                name: path.read_bytes()
                for name, path in names.items()
                if path.resolve().is_relative_to(root) and not any(part.startswith(".") for part in name.split("/"))
            }
        except OSError as error:
            _log.error("the app is not served", reason=str(error))
            return cls()
        # Without its first page the rest is of no use: a build was broken off.
        return cls({name: File.of(name, body) for name, body in shown.items()} if INDEX in shown else {})

    def find(self, path: str) -> File | None:
        """What stands under a path below `/app/`: a file, or the app itself for whatever could be a screen of it.

        A path is looked up and never opened, so that nothing in it leads anywhere.
        """
        if path in self.files:
            return self.files[path]
        is_screen = not path or (_SCREEN.fullmatch(path) is not None and not path.startswith(_ASSETS))
        return self.files.get(INDEX) if is_screen else None
