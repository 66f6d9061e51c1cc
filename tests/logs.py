"""Logs of tests: short, so that an expected failure does not cost seconds of formatting."""

from __future__ import annotations

import logging

import structlog


def plain_logs() -> None:
    """Warnings and errors with plain tracebacks; pytest shows them for tests that fail."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )
