"""`pager doctor`: looks at everything that pages depend on, and says what is wrong."""

from typing import TYPE_CHECKING

from cli.commands.options import Json
from cli.console.failure import Failure
from cli.console.output import console, print_json
from cli.settings import Settings

if TYPE_CHECKING:
    from cli.stack.examination import Finding


def doctor(as_json: Json = False) -> None:
    """Look at settings, home, processes, services, lag, parked inputs, streams and clock; exit code 1 on trouble.

    For example: pager doctor --json
    """
    import asyncio
    from dataclasses import asdict

    from cli.stack.examination import Level, examine

    findings = asyncio.run(examine(Settings.read()))
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        _show(findings)
    bad = dict.fromkeys(finding.what for finding in findings if finding.verdict is Level.BAD)
    if bad:
        raise Failure(f"{len(bad)} in trouble: {', '.join(bad)}")


def _show(findings: list["Finding"]) -> None:
    from rich.table import Table
    from rich.text import Text

    from cli.stack.examination import Level

    colours = {Level.GOOD: "green", Level.NOTE: "yellow", Level.BAD: "bold red"}
    shown = Table(header_style="bold")
    for column in ("", "what", "found"):
        shown.add_column(column, overflow="fold")
    for finding in findings:
        shown.add_row(Text(finding.verdict, colours[finding.verdict]), finding.what, finding.detail)
    console().print(shown)
