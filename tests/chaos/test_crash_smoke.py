"""A short crash run for every `make test`: what may happen to each part of the path happens while alerts flow."""

from __future__ import annotations

import pytest
from rich.console import Console

from tests.chaos.run import chaos_home, crash_run
from tests.chaos.scenarios import short_programme


@pytest.mark.alone
@pytest.mark.timeout(420)
async def test_a_kill_of_each_part_of_the_path_loses_nothing_and_doubles_nothing() -> None:
    with chaos_home("smoke"):
        report = await crash_run(1, short_programme(), rate=30, minutes=0.1, alerts=400, pause=0.3)
        report.show(Console())
        assert report.alerts >= 400
        assert report.refused == []
        # How late a page may come after its answer is a limit of real time, which a busy machine may miss.
        assert [finding for finding in report.findings if finding.kind != "late"] == []
