"""The documents that follow from the code say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.generate import DOCUMENTS, FOLDER, ROOT

PAGES = sorted([*FOLDER.rglob("*.md"), *ROOT.glob("*.md")])
_LINK = re.compile(r"(?:\]\(|src=\"|href=\")([^)\s\"]+)")


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
