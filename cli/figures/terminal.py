"""A report on a terminal: tables with bars beside them, 80 columns wide or as wide as there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.console.output import console
from cli.figures.parts import Names, Part, headline, parts, period, scaled
from libs.chassis.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from libs.contracts.analytics import Report

_LEAST, _MOST = 8, 40
"""Columns of a bar."""
_OF_WIDTH: Final = 4
_BLOCKS: Final = " ▏▎▍▌▋▊▉█"


def show(report: Report, names: Names) -> None:
    out = console()
    out.print(f"Pager report, {period(report)}", style="bold")
    out.print("   ".join(f"{what}: {value}" for what, value in headline(report)))
    for part in parts(report, names):
        out.print()
        out.print(part.title, style="bold")
        out.print(_table(part, out))
        if part.note:
            out.print(part.note, style="dim")
    if not report.summary.incidents:
        out.print("nothing was opened in this time")


def _table(part: Part, out: Console) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    made = Table(header_style="bold", show_edge=False, pad_edge=False)
    for number, column in enumerate(part.columns):
        # Numbers and their units stand whole; what people and senders have written is broken where it must be.
        is_text = number == 0 or column == "newest title"
        made.add_column(column, overflow="fold", no_wrap=not is_text, justify="left" if is_text else "right")
    lines: list[str] = []
    if part.bars is not None:
        width = min(_MOST, max(_LEAST, out.width // _OF_WIDTH))
        made.add_column("", no_wrap=True, width=width)
        lines = [_bar(length, fine=_is_fine(out)) for length in scaled(part.bars, width)]
    for number, row in enumerate(part.rows):
        bar = [Text(lines[number], "magenta" if number in part.marked else "cyan")] if lines else []
        made.add_row(*map(printable, row), *bar)
    return made


def _is_fine(out: Console) -> bool:
    return out.encoding.lower().startswith("utf")


def _bar(length: float, *, fine: bool) -> str:
    """In eighths of a column, where the terminal has such blocks. What there is is never nothing."""
    if not fine:
        return "#" * max(round(length), 1 if length > 0 else 0)
    eighths = max(round(length * 8), 1 if length > 0 else 0)
    return _BLOCKS[8] * (eighths // 8) + _BLOCKS[eighths % 8].strip()
