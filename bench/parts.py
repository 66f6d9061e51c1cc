"""Parts of a benchmark that are processes of their own, whose memory is looked at while they run."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from typing import Any

import psutil


def part(module: str, name: str, **given: str) -> dict[str, Any]:
    """What `python -m MODULE --part NAME` answers to this, and its `peakMiB`."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--part", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None  # noqa: S101 - narrows for the type checker
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    peak = watched(process)
    told = process.stdout.read()
    if process.returncode != 0:
        raise SystemExit(f"the part {name} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(told)
    return found | {"peakMiB": peak}


def watched(process: subprocess.Popen[Any]) -> float:
    """The largest resident size of it and its children that was seen until its end, in MiB."""
    peak, looked = 0, psutil.Process(process.pid)
    while process.poll() is None:
        size = 0
        with contextlib.suppress(psutil.Error):
            for one in (looked, *looked.children(recursive=True)):
                size += one.memory_info().rss
        peak = max(peak, size)
        time.sleep(0.02)
    return round(peak / 2**20, 1)
