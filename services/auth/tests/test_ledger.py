"""The ledger of erasures: what stands in it stands there for good, and what is wrong with it is said."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.auth.ledger import Entries, Ledger, LedgerFault

AT = datetime(2026, 11, 29, 20, 0, tzinfo=UTC)
ID = UUID("00000000-0000-4000-8000-000000000001")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "erasures")


def test_it_is_begun_once_and_holds_who_was_erased_and_when(ledger: Ledger) -> None:
    assert ledger.read() is None
    assert ledger.begin(ID) == Entries(ID, {})
    assert ledger.begin(uuid4()) == Entries(ID, {}), "whoever was faster has named it"
    first, second = uuid4(), uuid4()
    ledger.add({first: AT})
    ledger.add({first: AT + timedelta(days=1), second: AT})
    assert ledger.read() == Entries(ID, {first: AT, second: AT})
    assert ledger.begin(uuid4()) == ledger.read()
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert len(ledger.path.read_text().splitlines()) == 3


@pytest.mark.parametrize("left", [1, 20, 60, 95])
def test_what_a_crash_has_left_of_a_line_is_cut_off(ledger: Ledger, left: int) -> None:
    ledger.begin(ID)
    first, second = uuid4(), uuid4()
    ledger.add({first: AT})
    whole = ledger.path.read_bytes()
    ledger.add({second: AT})
    added = ledger.path.read_bytes()[len(whole) :]
    ledger.path.write_bytes(whole + added[:left])
    assert ledger.read() == Entries(ID, {first: AT})
    ledger.add({second: AT})
    assert ledger.path.read_bytes() == whole + added


def test_a_crash_while_it_is_begun_leaves_none(ledger: Ledger) -> None:
    for beginning in (b"", b"pager-er", b"pager-erasures 0000"):
        ledger.path.write_bytes(beginning)
        assert ledger.read() is None
        assert ledger.begin(ID) == Entries(ID, {})
        ledger.path.unlink()


def test_a_line_that_was_lost_changed_or_put_in_shows(ledger: Ledger) -> None:
    ledger.begin(ID)
    people = [uuid4() for _ in range(3)]
    for person in people:
        ledger.add({person: AT})
    lines = ledger.path.read_text().splitlines(keepends=True)
    broken = {
        "a line is lost": [*lines[:2], *lines[3:]],
        "a line is twice": [*lines[:2], *lines[1:]],
        "somebody else stands there": [lines[0], lines[1].replace(str(people[0]), str(uuid4())), *lines[2:]],
        "it is another's": [f"pager-erasures {uuid4()}\n", *lines[1:]],
        "it is another file": ["[Unit]\n"],
        "it is no text": ["\x00\xff\n"],
    }
    for what, text in broken.items():
        ledger.path.write_text("".join(text), encoding="latin-1")
        with pytest.raises(LedgerFault, match=f"{ledger.path}: is not what was written"):
            ledger.read()
        with pytest.raises(LedgerFault):
            ledger.add({uuid4(): AT})
        assert ledger.path.read_text(encoding="latin-1") == "".join(text), f"{what}: it is left as it is"


def test_what_is_no_file_is_said(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerFault, match="No such file"):
        ledger.add({uuid4(): AT})
    os.mkfifo(ledger.path)
    with pytest.raises(LedgerFault):
        ledger.read()
    ledger.path.unlink()
    ledger.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LedgerFault):
        ledger.begin(ID)
    with pytest.raises(LedgerFault):
        Ledger(tmp_path).read()
    with pytest.raises(LedgerFault):
        Ledger(tmp_path / "nowhere" / "erasures").begin(ID)


def test_many_may_write_at_once(ledger: Ledger) -> None:
    ledger.begin(ID)
    people = [uuid4() for _ in range(40)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda person: Ledger(ledger.path).add({person: AT}), people))
    found = ledger.read()
    assert found is not None
    assert set(found.erased) == set(people)
