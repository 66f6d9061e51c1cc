"""The disk of NATS is full while alerts flow, and is freed: nobody kills anything, and everything is paged."""

from __future__ import annotations

from functools import partial

import pytest
from rich.console import Console

from tests.chaos.field import Field
from tests.chaos.run import chaos_home, crash_run
from tests.chaos.scenarios import Scenario
from tests.disk import SmallDisk, small_disk

_MEGABYTES = 64
_REFUSED = 60
"""Alerts in a row that get no acknowledgement: two seconds of the flow."""


async def fill_and_free(field: Field, disk: SmallDisk) -> None:
    """No room until senders get no answer, then room: the supervisor restarts NATS, whose streams would stay broken."""
    before = field.pager.pids()["nats"]
    with field.down("nats"):
        disk.fill()

        async def refused() -> bool:
            return len(field.sender.alerts) - field.sender.accepted > _REFUSED

        await field.until("no acknowledgements", refused)
        disk.free()

        async def restarted() -> bool:
            return field.pager.pids().get("nats", before) != before

        await field.until("a restart of NATS", restarted)


@pytest.mark.alone
@pytest.mark.timeout(420)
async def test_a_full_disk_that_is_freed_loses_nothing_and_nobody_has_to_do_anything() -> None:
    with chaos_home("full-disk") as home:
        home.prepare()
        home.nats.mkdir(exist_ok=True)
        with small_disk(home.nats, _MEGABYTES) as disk:
            blow = Scenario("NATS: no room, then room", partial(fill_and_free, disk=disk))
            report = await crash_run(1, [blow, blow], rate=30, minutes=0.1, alerts=200, pause=0.3)
            report.show(Console())
            assert report.alerts >= 200
            assert report.refused == []
            assert [finding for finding in report.findings if finding.kind != "late"] == []
