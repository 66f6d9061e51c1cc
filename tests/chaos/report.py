"""What came of a run: a table for people, JSON for everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.checks import Finding
from tests.chaos.field import Strike

BEFORE = "before the first blow"


@dataclass
class Row:
    """One scenario; seconds, and counts of the alerts that were first sent from its blow to the next one."""

    scenario: str
    kind: str
    down: float
    takeover: float
    paging_again: float
    longest_silence: float
    alerts: int = 0
    lost: int = 0
    doubled: int = 0
    misdirected: int = 0
    late: int = 0
    resends: int = 0


@dataclass
class Report:
    replicas: int
    alerts: int
    repeated_sends: int
    acknowledgements: int
    pushes: int
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    failed_attempts: dict[str, int] = field(default_factory=dict)
    """By vendor and reason; the vendors fail only where a scenario says so."""

    def best(self, kind: str, figure: Callable[[Row], float]) -> dict[str, float]:
        """The least of a figure of each scenario of that kind."""
        best: dict[str, float] = {}
        for row in self.rows:
            if row.kind == kind:
                best[row.scenario] = min(figure(row), best.get(row.scenario, figure(row)))
        return best

    def write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def show(self, console: Console) -> None:
        table = Table(title=f"Crashes, {self.replicas} replica{'s' if self.replicas > 1 else ''} of each service")
        table.add_column("what happened", no_wrap=True)
        for column in ("down s", "active s", "paging s", "quiet s", "alerts", "lost", "twice", "late", "resent"):
            table.add_column(column, justify="right")
        for row in self.rows:
            seconds = (f"{value:.2f}" for value in (row.down, row.takeover, row.paging_again, row.longest_silence))
            bad = (row.lost, row.doubled + row.misdirected, row.late)
            marked = (f"[red]{count}[/red]" if count else "0" for count in bad)
            table.add_row(row.scenario, *seconds, str(row.alerts), *marked, str(row.resends))
        console.print(table)
        console.print(
            f"{self.alerts} alerts accepted ({self.repeated_sends} sent more than once), "
            f"{self.acknowledgements} acknowledged, {self.pushes} pushes; attempts that failed: {self.failed_attempts}"
        )
        for finding in self.findings[:20]:
            console.print(f"[red]{finding.kind}[/red] alert {finding.number}: {finding.text}", highlight=False)
        if len(self.findings) > 20:
            console.print(f"… and {len(self.findings) - 20} more")


def rows_of(
    strikes: Sequence[Strike], numbers: Sequence[int], findings: Sequence[Finding], repeats: Mapping[int, int]
) -> list[Row]:
    """Every alert belongs to the last blow before it was first sent; what belongs to no alert, to no row."""
    rows = [Row(BEFORE, "", 0, 0, 0, 0)] + [
        Row(s.scenario, s.kind, s.down, s.takeover, s.paging_again, s.longest_silence) for s in strikes
    ]
    starts = [0, *(s.first_alert for s in strikes), float("inf")]

    def row_of(number: int) -> Row:
        return next(row for row, after in zip(rows, starts[1:], strict=True) if number < after)

    for number in numbers:
        row = row_of(number)
        row.alerts += 1
        row.resends += repeats.get(number, 0)
    for finding in findings:
        if finding.number >= 0:
            row = row_of(finding.number)
            setattr(row, finding.kind, getattr(row, finding.kind) + 1)
    return rows
