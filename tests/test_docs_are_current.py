"""The documents that follow from the code say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import DOCUMENTS, FOLDER, ROOT

PAGES = sorted([*FOLDER.rglob("*.md"), *ROOT.glob("*.md")])
_LINK = re.compile(r"(?:\]\(|src=\"|href=\")([^)\s\"]+)")
_CODE = [
    path
    for room in ("bench", "cli", "deploy", "docs", "libs", "services", "tests")
    for path in (ROOT / room).rglob("*.py")
]


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_a_generated_document_is_as_the_code_says(name: str) -> None:
    # Not shown as a difference: the documents are long, and the cure is one command.
    current = (ROOT / name).read_text(encoding="utf-8") == DOCUMENTS[name]()
    assert current, f"{name} is out of date: run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_nothing_that_is_not_there(page: Path) -> None:
    targets = {link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8"))}
    local = {target for target in targets if target and not re.match(r"[a-z]+:", target)}
    missing = sorted(target for target in local if not (page.parent / target).exists())
    assert not missing


def test_whoever_names_a_promise_or_a_decision_names_one_that_there_is() -> None:
    promises = set(re.findall(r"^## (\d+)\.", (FOLDER / "promises.md").read_text(encoding="utf-8"), re.MULTILINE))
    decisions = {f"{int(path.name[:4])}" for path in (FOLDER / "adr").glob("[0-9]*.md")}
    named = [(path, path.read_text(encoding="utf-8")) for path in (*_CODE, *PAGES)]
    missing = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path, text in named
        for pattern, known in ((r"[Pp]romises? (\d+)\b", promises), (r"(?:docs/adr/|ADR )0*(\d+)\b", decisions))
        for found in re.finditer(pattern, text)
        if found.group(1) not in known
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_calls_make_for_what_it_makes(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    called = set(re.findall(r"`make ([a-z][a-z-]*)|^make ([a-z-]+) +#", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert {one or other for one, other in called} <= targets
