"""What strangers wrote is shown, never obeyed."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.measure.logs import _only_shown
from libs.chassis.printable import printable, printable_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("disk \x1b[2Jfull", r"disk \x1b[2Jfull"),
        ("a\nb\r\tc\x07", r"a\nb\r\tc\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("safe\u202egpj.exe", r"safe\u202egpj.exe"),
        ("\u2066x\u2069\u200b\ufeff", r"\u2066x\u2069\u200b\ufeff"),
        ("half \ud83d of a pair", r"half \ud83d of a pair"),
        ("Ünïcode 👩\u200d🚒 日本 :fire: [bold]x[/]", "Ünïcode 👩\u200d🚒 日本 :fire: [bold]x[/]"),
    ],
)
def test_what_a_terminal_would_obey_or_hide_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None)))
def test_nothing_that_moves_a_cursor_is_left(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in shown)
    assert not any(
        unicodedata.bidirectional(c) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") for c in shown
    )
    shown.encode()


@given(st.recursive(st.text(st.characters(codec=None)), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_json_says_the_same(document: object) -> None:
    text = printable_json(json.dumps(document, ensure_ascii=False, indent=2))
    assert json.loads(text) == document
    assert printable(text.replace("\n", "")) == text.replace("\n", "")


def test_logs_for_people_obey_nobody_and_keep_tracebacks_in_lines() -> None:
    record = {"event": "refused \x1b[31m", "n": 1, "exception": "Traceback\n  x\x1b[2J"}
    assert _only_shown(None, "", record) == {
        "event": r"refused \x1b[31m",
        "n": 1,
        "exception": "Traceback\n  x\\x1b[2J",
    }
