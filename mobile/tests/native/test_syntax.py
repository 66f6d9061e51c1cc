"""Every native source fits its language's grammar; what the gate is worth is shown on broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from places import MOBILE, faults, sources

LONGEST = 400


@pytest.mark.parametrize("suffix", [".java", ".swift"])
def test_every_native_source_parses(suffix: str) -> None:
    found = sources(suffix)
    assert len(found) >= 12, "the sources are where they were"
    wrong = {str(path.relative_to(MOBILE)): faults(path.read_bytes(), suffix) for path in found}
    assert {name: where for name, where in wrong.items() if where} == {}


@pytest.mark.parametrize(
    ("suffix", "code"),
    [
        (".java", b"final class A { void b() { int c = 1 } }"),
        (".java", b"final class A { void b() { if (c { } }"),
        (".swift", b"struct A { func b() -> Int { return 1 }"),
        (".swift", b"let a = [1, 2"),
        (".rb", b"lane :a do\n  build(x: 1\nend"),
    ],
)
def test_the_gate_sees_what_is_broken(suffix: str, code: bytes) -> None:
    assert faults(code, suffix)


def test_the_lanes_parse() -> None:
    found = sorted((MOBILE / "fastlane").iterdir())
    assert [path.name for path in found] == ["Appfile", "Fastfile", "Gemfile"]
    assert {path.name: faults(path.read_bytes(), ".rb") for path in found} == {path.name: [] for path in found}


def _kotlin() -> list[Path]:
    return sources(".kt")


def test_no_source_is_in_a_language_that_nothing_checks() -> None:
    assert _kotlin() == []


def test_files_are_short_enough_to_be_held_in_the_head() -> None:
    long = [
        path.name
        for suffix in (".java", ".swift")
        for path in sources(suffix)
        if path.read_bytes().count(b"\n") > LONGEST
    ]
    assert long == []
