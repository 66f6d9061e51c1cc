"""Logs: one JSON object a line, UTC, no secrets; text for people at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure(service: str, instance: str, level: str = "info", fmt: str = "json") -> None:
    """Set up structlog and the standard library's logging for a process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if fmt == "json" else structlog.dev.ConsoleRenderer()
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # nats-py reports every reconnect attempt as an error; the bus says once that it is away.
    for noisy in ("nats", "faststream", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(number, logging.CRITICAL if noisy == "nats" else logging.WARNING))
    structlog.contextvars.bind_contextvars(process=service, instance=instance)
