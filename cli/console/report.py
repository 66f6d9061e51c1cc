"""What a running stack tells: a line on the terminal, or a JSON line with `--json`."""

import json
import shutil
import sys
import textwrap
from typing import Any, Protocol

from libs.chassis.printable import printable_lines


class Report(Protocol):
    """Takes note of one thing that happened: `kind` for programs, `text` for people."""

    def __call__(self, kind: str, text: str, **details: Any) -> None: ...


def text_report(kind: str, text: str, **details: Any) -> None:
    """A line for people; troubles go to stderr."""
    stream = sys.stderr if kind in ("died", "waiting", "warning") else sys.stdout
    shown = printable_lines(text)
    if stream.isatty():
        shown = "\n".join(map(_fitting, shown.split("\n")))
    stream.write(f"{shown}\n")
    stream.flush()


def _fitting(line: str) -> str:
    """Broken between words where the terminal ends; what follows stands a little to the right."""
    width = shutil.get_terminal_size().columns
    parts = textwrap.wrap(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return "\n".join(parts)


def json_report(kind: str, text: str, **details: Any) -> None:
    """A line for programs: `{"event", "text", …}`."""
    sys.stdout.write(json.dumps({"event": kind, "text": text} | details, default=str) + "\n")
    sys.stdout.flush()


def silent_report(kind: str, text: str, **details: Any) -> None:
    """For what has a view of its own, and for tests."""
