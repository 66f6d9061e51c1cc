"""`pager up` as a child process, as anybody starts it: on free ports, with the simulators, in `PAGER_HOME`."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench.stack import RunningPager
from cli.embedded import Home
from cli.stack.ready import until_ready

_START_SECONDS = 90.0


@asynccontextmanager
async def started_pager(replicas: int) -> AsyncIterator[RunningPager]:
    """Yields when every service answers; stops it at the end."""
    home = Home.from_environment()
    home.prepare()
    environment = os.environ | {
        "PAGER_HOME": str(home.path),
        "PAGER_SIMULATOR_PORT": "0",
        "PAGER_LOG_LEVEL": os.environ.get("PAGER_LOG_LEVEL", "info"),
    }
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--replicas", str(replicas)]
    with (home.logs / "pager.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220
    pager = RunningPager(home, process)
    try:
        await _serves(pager)
        yield pager
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)


async def _serves(pager: RunningPager) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while "gateway" not in pager.run:
        log = pager.home.logs / "pager.log"
        assert pager.process.poll() is None, f"pager up ended: {log.read_text(encoding='utf-8')[-2000:]}"
        assert asyncio.get_running_loop().time() < deadline, f"pager up did not start in {_START_SECONDS:.0f} s"
        await asyncio.sleep(0.05)
    port = int(str(pager.run["gateway"]).rsplit(":", 1)[1])
    await until_ready(port, _START_SECONDS, lambda name: f"see {name}.log")
