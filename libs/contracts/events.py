"""All events by name: the contracts' modules declare theirs when they are imported."""

from __future__ import annotations

import importlib
import pkgutil

from libs import contracts


def declare_events() -> None:
    """Every event is in `envelope.FACTS` from now on: for whoever reads the events of all services."""
    for module in pkgutil.iter_modules(contracts.__path__):
        if module.name != "tests":
            importlib.import_module(f"{contracts.__name__}.{module.name}")
