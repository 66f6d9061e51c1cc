"""What a check found, and how the findings are shown."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

SHOWN: Final = 20


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: `wrong` is empty when all is well; `looked_at` says at what, in a few words."""

    check: str
    looked_at: str
    wrong: tuple[str, ...] = ()


Check = Callable[[], Iterable[Finding]]


def show(findings: list[Finding]) -> bool:
    """Print a table, then what is wrong, in full; whether all is well."""
    out = Console(highlight=False)
    out = out if out.is_terminal else Console(highlight=False, width=160, no_color=True)
    table = Table(header_style="bold")
    for column in ("", "check", "looked at"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        verdict = "[bold red]wrong[/]" if finding.wrong else "[green]ok[/]"
        table.add_row(verdict, escape(finding.check), escape(finding.looked_at))
    out.print(table)
    for finding in findings:
        for line in finding.wrong[:SHOWN]:
            out.print(f"[bold red]{escape(finding.check)}[/]: {escape(line)}")
        if len(finding.wrong) > SHOWN:
            out.print(f"[bold red]{escape(finding.check)}[/]: {len(finding.wrong) - SHOWN} more")
    return not any(finding.wrong for finding in findings)
