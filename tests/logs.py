"""Logs of tests: short, so that an expected failure does not cost seconds of formatting."""

from __future__ import annotations

from typing import Any

import structlog


def plain_logs() -> None:
    """Warnings and errors with plain tracebacks; pytest shows them for tests that fail."""
    structlog.configure(
        processors=[
            # Not by the level of the logger: tests that capture logs want the quiet lines too.
            _only_troubles,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(),
        ]
    )


def _only_troubles(_logger: Any, method: str, event: Any) -> Any:
    if method in ("debug", "info"):
        raise structlog.DropEvent
    return event
