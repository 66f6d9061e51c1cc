"""`python -m tests.security`: tries every attack on a running Pager and prints what each of them got."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console
from rich.table import Table

from tests.attacks import PROPERTY, Attack

TESTS = Path(__file__).parents[1]


@dataclass(eq=False)
class Ledger:
    """A plugin of pytest: runs the tests that try attacks, and keeps what these got and which tests failed."""

    got: dict[Attack, list[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "told" in getattr(item, "fixturenames", ())]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(f"{report.nodeid} ({report.when})")
        if report.when == "call" and report.passed:
            for name, value in report.user_properties:
                if name == PROPERTY:
                    self._tell(*cast("tuple[str, str]", value))

    def _tell(self, attack: str, got: str) -> None:
        told = self.got.setdefault(Attack[attack], [])
        if got not in told:
            told.append(got)


def show(ledger: Ledger, console: Console) -> bool:
    """Prints the table; whether every attack was tried and none got anywhere."""
    table = Table("what was tried", "what it got")
    for attack in Attack:
        got = ledger.got.get(attack)
        table.add_row(attack, "\n".join(got) if got else "[red]was not tried[/red]")
    console.print(table)
    for test in ledger.failed:
        console.print(f"[red]failed:[/red] {test}")
    return not ledger.failed and set(ledger.got) == set(Attack)


def main() -> int:
    """Exit code 0: every attack was tried and refused; 1: one was not, or a test of one failed."""
    ledger = Ledger()
    code = pytest.main([str(TESTS), "-q", "-p", "no:cacheprovider", *sys.argv[1:]], plugins=[ledger])
    return 0 if show(ledger, Console()) and code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
