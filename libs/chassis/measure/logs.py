"""Logs: one JSON object a line, UTC, no secrets; text for people at a terminal."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from libs.chassis.printable import printable, printable_lines


def _only_shown(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """What strangers wrote moves no cursor of whoever reads along; a traceback keeps its lines."""
    return {key: _shown(key, value) if isinstance(value, str) else value for key, value in event.items()}


def _shown(key: str, value: str) -> str:
    return printable_lines(value) if key == "exception" else printable(value)


def configure(service: str, instance: str, level: str = "info", fmt: str = "json") -> None:
    """Set up structlog and the standard library's logging for a process."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    as_json = fmt == "json"  # which escapes what a terminal would obey
    renderers: list[Any] = (
        [structlog.processors.JSONRenderer()] if as_json else [_only_shown, structlog.dev.ConsoleRenderer()]
    )
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    # nats-py reports every reconnect attempt as an error; the bus says once that it is away.
    for noisy in ("nats", "faststream", "aiohttp.access", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(max(number, logging.CRITICAL if noisy == "nats" else logging.WARNING))
    structlog.contextvars.bind_contextvars(process=service, instance=instance)
