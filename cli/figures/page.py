"""A report as one HTML page that needs nothing else: no script, no address, bars as SVG, for screens and paper."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Final

from cli.figures.parts import TEXTS, Names, Part, headline, parts, period, scaled
from libs.chassis.printable import printable

if TYPE_CHECKING:
    from libs.contracts.analytics import Report

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2330; --paper: #fff; --faint: #5b6576; --line: #d9dee7; --bar: #2f6fde;
  --night: #7a4fc9; --card: #f4f6fa; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --paper: #12161e; --faint: #98a2b5; --line: #2b3342;
  --bar: #6ba1ff; --night: #b894ff; --card: #1a202b; } }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --faint: #444; --line: #bbb; --card: #fff; }
  section { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1rem 4rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0; color: var(--faint); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 1.4rem 0 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem .9rem; }
dt { color: var(--faint); font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; font-weight: 600; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; color: var(--faint); font-size: .85rem; }
th.text, td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
td.bar { width: 30%; min-width: 7rem; padding-right: 0; }
svg { display: block; width: 100%; height: .8rem; } .day { fill: var(--bar); } .night { fill: var(--night); }
"""
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; base-uri 'none'; "
    "form-action 'none'"
)
_WIDE: Final = 100.0


def page(report: Report, names: Names, made_at: str) -> str:
    """What senders and people have written is text in it, whatever it looks like."""
    title = f"Pager report, {period(report)}"
    cards = "".join(f"<div><dt>{_text(what)}</dt><dd>{_text(value)}</dd></div>" for what, value in headline(report))
    body = "".join(map(_section, parts(report, names))) or "<p>Nothing was opened in this time.</p>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="referrer" content="no-referrer"><title>{_text(title)}</title><style>{_STYLE}</style></head>'
        f"<body><h1>Pager report</h1><p>{_text(period(report))}{_of_team(report)}; made {_text(made_at)}</p>"
        f"<dl>{cards}</dl>{body}</body></html>\n"
    )


def _of_team(report: Report) -> str:
    return f"; team {_text(str(report.summary.team_id))}" if report.summary.team_id is not None else ""


def _section(part: Part) -> str:
    bars = scaled(part.bars, _WIDE) if part.bars is not None else None
    heads = "".join(f"<th{_kind(number, name)}>{_text(name)}</th>" for number, name in enumerate(part.columns))
    rows = "".join(
        f"<tr>{_cells(part, row)}{'' if bars is None else _bar(bars[number], marked=number in part.marked)}</tr>"
        for number, row in enumerate(part.rows)
    )
    note = f"<p>{_text(part.note)}</p>" if part.note else ""
    last = "" if bars is None else "<th></th>"
    return (
        f'<section><h2>{_text(part.title)}</h2><div class="wide"><table><thead><tr>{heads}{last}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</section>"
    )


def _cells(part: Part, row: tuple[str, ...]) -> str:
    return "".join(
        f"<td{_kind(number, name)}>{_text(cell)}</td>"
        for number, (name, cell) in enumerate(zip(part.columns, row, strict=True))
    )


def _kind(number: int, column: str) -> str:
    return ' class="text"' if number == 0 or column in TEXTS else ""


def _bar(length: float, *, marked: bool) -> str:
    """The table says its number: to whoever hears the page it is nothing."""
    drawn = f'<rect class="{"night" if marked else "day"}" width="{length:.2f}" height="10" rx="1"/>' if length else ""
    box = 'viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"'
    return f'<td class="bar"><svg {box}>{drawn}</svg></td>'


def _text(text: str) -> str:
    return escape(printable(text))
