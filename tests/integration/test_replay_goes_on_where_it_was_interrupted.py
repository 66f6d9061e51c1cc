"""The command as an auditor runs it on a long log: stopped in the middle, read by `head`, shown as a table."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.filling import fill
from tests.servers import Servers

_ROOT = Path(__file__).resolve().parents[2]
_EVENTS = 60_000


class Auditor:
    """Somebody with a URL of the database, and nothing else."""

    def __init__(self, url: str, home: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PAGER_")}
        self._environment = clean | {"PAGER_HOME": str(home), "PAGER_DATABASE_URL": url}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            bufsize=0,
            cwd=_ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    async def run(self, *arguments: str) -> tuple[int, bytes, str]:
        process = self.start(*arguments)
        out, err = await asyncio.to_thread(process.communicate)
        return process.returncode, out, err.decode()


@pytest.fixture(scope="module")
async def auditor(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Any:
    async with servers.fresh() as database:
        await asyncio.to_thread(fill, servers.database_url("superuser", database), _EVENTS)
        yield Auditor(servers.database_url("auditor", database), tmp_path_factory.mktemp("home"))


async def test_an_interruption_prints_a_token_that_goes_on_with_the_next_event(auditor: Auditor) -> None:
    code, whole, err = await auditor.run("replay")
    assert (code, err) == (0, "")
    assert len(whole.splitlines()) >= _EVENTS
    process = auditor.start("replay")
    assert process.stdout is not None
    begun = await asyncio.to_thread(process.stdout.read, 100_000)
    process.send_signal(signal.SIGINT)
    rest, err_bytes = await asyncio.to_thread(process.communicate)
    told = err_bytes.decode()
    assert process.returncode == 130
    assert "go on with: pager replay --resume " in told
    first = begun + rest
    assert 0 < len(first) < len(whole)
    code, second, err = await auditor.run("replay", "--resume", told.split()[-1])
    assert (code, err) == (0, "")
    assert first + second == whole


async def test_whoever_has_seen_enough_may_stop_reading(auditor: Auditor) -> None:
    process = auditor.start("replay", "--format", "csv")
    assert process.stdout is not None
    assert process.stderr is not None
    line = await asyncio.to_thread(process.stdout.readline)
    assert line.startswith(b"position,service,lane,time,type,")
    process.stdout.close()
    await asyncio.to_thread(process.wait)
    assert process.stderr.read() == b""
    process.stderr.close()


async def test_one_incident_of_many_is_found_by_its_number_and_explained_from_the_logs(auditor: Auditor) -> None:
    code, out, _ = await auditor.run("replay", "--incident", "4321")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert len(events) == 10
    assert events[0]["data"]["number"] == 4321
    incident = events[0]["entity"]
    code, out, _ = await auditor.run("explain", incident[:13], "--source", "log", "--json")
    explained = json.loads(out)
    assert (code, explained["incidentId"], explained["number"]) == (0, incident, 4321)
    assert [person["outcome"] for person in explained["people"]] == ["paged"]
    code, again, _ = await auditor.run("explain", "#4321", "--source", "log", "--json")
    assert (code, again) == (0, out)
    code, shown, _ = await auditor.run("explain", "4321", "--source", "log")
    assert code == 0
    assert b"Person " in shown, "an operator reads names, which an explanation does not need"
    code, out, _ = await auditor.run("replay", "--at", "2026-01-02", "--incident", "4321", "--json")
    assert (code, json.loads(out)["state"]["status"]) == (0, "resolved")
    code, _, err = await auditor.run("replay", "--at", "2025-12-31", "--incident", "4321")
    assert code == 1
    assert "nothing was there" in err
