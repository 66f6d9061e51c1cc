"""A report on a terminal: tables with bars beside them, 80 columns wide or as wide as there is room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from cli.console.output import console
from cli.figures.parts import TEXTS, Names, Part, headline, parts, period, scaled
from libs.chassis.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from libs.contracts.analytics import Report

_LEAST, _MOST = 8, 40
"""Columns of a bar."""
_NARROW, _WIDE = 14, 32
"""Columns that a text has where there is little room, and where there is much."""
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

    cells = [tuple(map(printable, row)) for row in part.rows]
    texts = [number for number, column in enumerate(part.columns) if number == 0 or column in TEXTS]
    made = Table(header_style="bold", show_edge=False, pad_edge=False)
    for number, column in enumerate(part.columns):
        # Numbers and their units stand whole; what people and senders have written is broken where it must be.
        if number in texts:
            made.add_column(column, overflow="fold", min_width=min(_NARROW, _width(part, cells, number)))
        else:
            made.add_column(column, no_wrap=True, justify="right")
    width = _room(part, cells, texts, out.width)
    lines = [] if part.bars is None else [_bar(bar, fine=_is_fine(out)) for bar in scaled(part.bars, width)]
    if lines and width:
        made.add_column("", no_wrap=True, width=width)
    for number, row in enumerate(cells):
        drawn = Text(lines[number], "magenta" if number in part.marked else "cyan") if lines and width else None
        made.add_row(*row, *(() if drawn is None else (drawn,)))
    return made


def _room(part: Part, cells: Sequence[Sequence[str]], texts: Sequence[int], columns: int) -> int:
    """How long a bar may be: what texts leave that are as wide as they like; 0: nothing that one could see."""
    widths = [_width(part, cells, number) for number in range(len(part.columns))]
    liked = sum(min(width, _WIDE if number in texts else width) for number, width in enumerate(widths))
    least = sum(min(width, _NARROW if number in texts else width) for number, width in enumerate(widths))
    between = 3 * len(widths)
    if columns - least - between < _LEAST:
        return 0
    return min(_MOST, max(_LEAST, columns - liked - between))


def _width(part: Part, cells: Sequence[Sequence[str]], number: int) -> int:
    from rich.cells import cell_len

    return max(cell_len(text) for text in (part.columns[number], *(row[number] for row in cells)))


def _is_fine(out: Console) -> bool:
    return out.encoding.lower().startswith("utf")


def _bar(length: float, *, fine: bool) -> str:
    """In eighths of a column, where the terminal has such blocks. What there is is never nothing."""
    if not fine:
        return "#" * max(round(length), 1 if length > 0 else 0)
    eighths = max(round(length * 8), 1 if length > 0 else 0)
    return _BLOCKS[8] * (eighths // 8) + _BLOCKS[eighths % 8].strip()
