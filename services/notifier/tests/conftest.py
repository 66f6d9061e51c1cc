"""The sender's look now and then, which nobody waits for where the clock stands still, comes soon."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.notifier.sender._NET", 0.02)
