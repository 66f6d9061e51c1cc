"""Where the native half of the app is, and how its sources are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import pytest
import tree_sitter
import tree_sitter_java
import tree_sitter_ruby
import tree_sitter_swift

HERE: Final = Path(__file__).resolve().parent
MOBILE: Final = HERE.parent.parent
PLUGIN: Final = MOBILE / "plugins/pager-alerts"
ANDROID: Final = MOBILE / "android"
IOS: Final = MOBILE / "ios/App"
JAVA: Final = PLUGIN / "android/src/main/java/dev/pager/alerts"
SWIFT: Final = PLUGIN / "ios/Sources"
PARSERS: Final = {
    ".rb": tree_sitter.Language(tree_sitter_ruby.language()),
    ".java": tree_sitter.Language(tree_sitter_java.language()),
    ".swift": tree_sitter.Language(tree_sitter_swift.language()),
}


def sources(suffix: str) -> list[Path]:
    """Every file of ours in that language, whatever project it is in."""
    found = (path for root in (PLUGIN, ANDROID, IOS, HERE) for path in root.rglob(f"*{suffix}"))
    return sorted(path for path in found if "node_modules" not in path.parts and "build" not in path.parts)


def faults(code: bytes, suffix: str) -> list[str]:
    """Where the grammar does not fit, as `line: text`."""
    tree = tree_sitter.Parser(PARSERS[suffix]).parse(code)
    return [f"{node.start_point[0] + 1}: {(node.text or b'')[:60]!r}" for node in _broken(tree.root_node)]


def _broken(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _broken(child)


def lacking(reason: str) -> NoReturn:
    """Says why something is not checked here. With `PAGER_NATIVE_COMPLETE`, as in CI, that is a failure."""
    if os.environ.get("PAGER_NATIVE_COMPLETE"):
        pytest.fail(reason)
    pytest.skip(reason)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def constants(path: Path) -> dict[str, str]:
    """Names and texts of `static final String A = "b"` and `static let a = "b"`."""
    found = re.findall(r'(?:static final String|static let) (\w+) = "([^"]*)"', text(path))
    return dict(found)
