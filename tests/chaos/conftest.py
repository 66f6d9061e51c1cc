"""Which crash tests are collected: the short one by default, with `--run-chaos` the long ones instead."""

from __future__ import annotations

from pathlib import Path

import pytest

_LONG = "test_crashes.py"
_SHORT = "test_crash_smoke.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Not collected rather than skipped: a skip would look as if something had been checked."""
    if collection_path.parent != Path(__file__).parent:
        return None
    return True if collection_path.name == (_SHORT if config.getoption("--run-chaos") else _LONG) else None
