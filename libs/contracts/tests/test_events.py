"""Whoever reads the events of all services knows all of them, whatever else was imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).parents[1]
_DECLARED = re.compile(r'type="(pager\.\w+\.\w+\.v\d+)"')
_KNOWN = """
from libs.contracts.envelope import FACTS
from libs.contracts.events import declare_events
declare_events()
print(*FACTS, sep="\\n")
"""


@pytest.mark.thorough
def test_every_event_that_a_module_declares_is_known() -> None:
    modules = (module for module in CONTRACTS.rglob("*.py") if "tests" not in module.relative_to(CONTRACTS).parts)
    declared = {name for module in modules for name in _DECLARED.findall(module.read_text("utf-8"))}
    # In a process of its own: other tests import what nobody else does.
    asked = subprocess.run([sys.executable, "-c", _KNOWN], capture_output=True, text=True, check=True)
    assert declared <= set(asked.stdout.split())
    assert len(declared) > 80
