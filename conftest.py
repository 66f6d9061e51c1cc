"""Which tests need servers: those that ask for a fixture that starts some, themselves or through another one."""

from __future__ import annotations

import pytest

_STARTING = {"servers", "running", "restorable"}
"""PostgreSQL and NATS; NATS and a gateway; a world on servers of its own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _STARTING.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("servers")
