"""The app that the gateway serves was built from the sources beside it; what they build to, `make app-check` says."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

MOBILE = Path(__file__).parents[1] / "mobile"
PARTS = (
    "index.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "svelte.config.js",
    "tsconfig.json",
    "vite.config.ts",
)
"""As in `mobile/scripts/built.mjs`."""


def test_it_was_built_since_its_sources_changed() -> None:
    found = [path for part in PARTS for path in ((MOBILE / part), *(MOBILE / part).rglob("*")) if path.is_file()]
    names = sorted(path.relative_to(MOBILE).as_posix() for path in found)
    lines = [f"{sha256((MOBILE / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    built_from = (MOBILE / "built-from.sha256").read_text(encoding="ascii").strip()
    assert sha256("".join(lines).encode()).hexdigest() == built_from, "run `make app`, and commit what it builds"
