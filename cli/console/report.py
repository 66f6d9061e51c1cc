"""What a running stack tells: a line on the terminal, or a JSON line with `--json`."""

import json
import sys
from typing import Any, Protocol

from libs.chassis.printable import printable_lines


class Report(Protocol):
    """Takes note of one thing that happened: `kind` for programs, `text` for people."""

    def __call__(self, kind: str, text: str, **details: Any) -> None: ...


def text_report(kind: str, text: str, **details: Any) -> None:
    """A line for people; troubles go to stderr."""
    stream = sys.stderr if kind in ("died", "waiting", "warning") else sys.stdout
    stream.write(f"{printable_lines(text)}\n")
    stream.flush()


def json_report(kind: str, text: str, **details: Any) -> None:
    """A line for programs: `{"event", "text", …}`."""
    sys.stdout.write(json.dumps({"event": kind, "text": text} | details, default=str) + "\n")
    sys.stdout.flush()


def silent_report(kind: str, text: str, **details: Any) -> None:
    """For what has a view of its own, and for tests."""
