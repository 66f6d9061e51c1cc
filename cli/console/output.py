"""How commands answer: tables and lines for people, JSON for programs.

Rich is imported when something is shown: every command imports this module, and `pager up` must stay small.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PRIORITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def console() -> "Console":
    """The terminal; without one, plain text that is not broken at 80 columns."""
    from rich.console import Console

    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=200, no_color=True)


def print_json(document: Any) -> None:
    """One document, indented for people who look at it."""
    sys.stdout.write(json.dumps(document, indent=2, default=str, ensure_ascii=False) + "\n")


def json_line(document: Any) -> None:
    """One document a line, at once, for whoever reads along."""
    sys.stdout.write(json.dumps(document, default=str, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> "Table":
    """A table of plain values: nothing in them is taken for markup."""
    from rich.markup import escape
    from rich.table import Table

    made = Table(title=title, title_justify="left", header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(value)) for value in row))
    return made
