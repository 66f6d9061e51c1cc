"""How commands answer: tables and lines for people, JSON for programs.

Rich is imported when something is shown: every command imports this module, and `pager up` must stay small.
"""

import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from libs.chassis.printable import printable, printable_json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PRIORITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def console() -> "Console":
    """The terminal; without one, plain text that is not broken at 80 columns.

    Nothing in a text is taken for markup, an emoji's name or a command to the terminal.
    """
    from rich.console import Console

    class Shown(Console):
        def render_str(self, text: str, *args: Any, **kwargs: Any) -> Any:
            return super().render_str(printable(text), *args, **kwargs)

    out = Shown(highlight=False, markup=False, emoji=False)
    return out if out.is_terminal else Shown(highlight=False, markup=False, emoji=False, width=200, no_color=True)


def for_any_terminal() -> None:
    """What the terminal's encoding lacks is shown as a question mark, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def print_json(document: Any) -> None:
    """One document, indented for people who look at it."""
    sys.stdout.write(_json(document, indent=2) + "\n")


def json_line(document: Any) -> None:
    """One document a line, at once, for whoever reads along."""
    sys.stdout.write(_json(document) + "\n")
    sys.stdout.flush()


def _json(document: Any, indent: int | None = None) -> str:
    # Where the encoding lacks characters they are escaped, and not lost.
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return printable_json(json.dumps(document, indent=indent, default=str, ensure_ascii=not is_unicode))


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> "RenderableType":
    """A table of plain values, for `console()`; a list is a cell of several lines."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table(header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Group(*map(str, cell)) if isinstance(cell, list) else str(cell) for cell in row))
    # Its own title would be broken where the table ends.
    return made if title is None else Group(Text(printable(title), "bold"), made)


def labelled(rows: Iterable[tuple[str, str]]) -> "RenderableType":
    """Texts behind what they are, a little to the right, each in a column of its own."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column()
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for label, text in rows:
        made.add_row("", label, text)
    return made
