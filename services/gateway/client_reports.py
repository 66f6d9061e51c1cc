"""What apps tell of themselves: timings are counted, errors counted and written down, as far as there is room."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import structlog

from libs.chassis.clock import Clock
from libs.chassis.measure.metrics import Metrics
from libs.contracts.auth import Platform
from libs.contracts.client_reports import TIMINGS, ClientReport
from services.gateway.limits import Bucket, Size

_log = structlog.get_logger()

_BOUNDS: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300)
"""Seconds; the goals are among them: a tap 0.15, a page on the screen 0.3, a start 1."""
LINES: Final = Size(120, 60, "write 120 lines a minute")
"""Of all apps together: one that fails in a loop on a thousand phones must not fill a disk."""
OF_ONE: Final = 5
"""Lines of one request: an app that fails in many ways leaves room for others."""
_LONGEST: Final = 500
"""Characters of a message that are kept."""
_CONTROLS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_KEY: Final = "A-Za-z0-9_~-"
_PRIVATE: Final = re.compile(
    rf"(?P<id>(?<![{_KEY}])[0-9a-fA-F]{{8}}(?:-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}(?![{_KEY}]))"
    r"|(?i:\b(?:bearer|basic)\s+\S+)"
    r"|\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"
    r"|\bpgr_[A-Za-z0-9_-]+"
    r"|[^\s@<>()\[\]\"',;:]{1,64}@[^\s@<>()\[\]\"',;:]+"
    r"|\?[^\s\"')?]{0,200}=[^\s\"')]*"
    rf"|[{_KEY}]{{32,}}|[A-Za-z0-9+/]{{40,}}={{0,2}}"
    r"|(?<![0-9A-Za-z])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z])\+?[0-9](?:[ ()/-]{0,2}[0-9]){6,19}(?![0-9A-Za-z])"
)
"""An incident's id is kept; tokens, mail addresses, what follows a ? in an address, keys, hosts by number and telephone
numbers are not. What people are called nobody can tell: an app has no reason to say it here."""


class ReportMeasures:
    """Every series is there from the start: labels come from closed lists."""

    def __init__(self, metrics: Metrics) -> None:
        self._timings = metrics.histogram(
            "pager_app_timing_seconds",
            "How long people waited for the app, as it says.",
            "name",
            "platform",
            buckets=_BOUNDS,
        )
        self._errors = metrics.counter("pager_app_errors", "Errors that the app has told of.", "platform")
        for platform in Platform:
            self._errors.labels(platform)
            for name in TIMINGS:
                self._timings.labels(name, platform)

    def took(self, name: str, platform: Platform, milliseconds: float) -> None:
        self._timings.labels(name, platform).observe(milliseconds / 1000)

    def failed(self, platform: Platform, times: int) -> None:
        self._errors.labels(platform).inc(times)


@dataclass
class Reports:
    """`take` what one app has sent. Nothing of it is kept but a number and a line of the log."""

    measures: ReportMeasures
    clock: Clock
    _written: Bucket = field(default_factory=lambda: Bucket(0.0, 0.0))
    _left_out: int = 0
    """Errors since the last line that have none."""

    def take(self, reports: Iterable[ClientReport], request_id: str) -> int:
        """How many they were. `request_id` is all that a line says of whose they are."""
        told, errors = 0, Counter[tuple[str, str, str, Platform]]()
        for report in reports:
            told += 1
            if report.milliseconds is not None:
                self.measures.took(report.name, report.platform, report.milliseconds)
            else:
                self.measures.failed(report.platform, 1)
                errors[report.name, scrubbed(report.message or ""), report.app_version, report.platform] += 1
        for number, (error, times) in enumerate(errors.items()):
            if number < OF_ONE and self._has_room():
                self._write(*error, times, request_id)
            else:
                self._left_out += times
        return told

    def _has_room(self) -> bool:
        self._written.run(LINES, self.clock.now().timestamp())
        if self._written.spent + 1 > LINES.most:
            return False
        self._written.spent += 1
        return True

    def _write(self, name: str, message: str, version: str, platform: Platform, times: int, request_id: str) -> None:
        left_out, self._left_out = self._left_out, 0
        _log.warning(
            "app error",
            error=name,
            message=message,
            app_version=version,
            platform=str(platform),
            times=times,
            left_out=left_out,
            request_id=request_id,
        )


def scrubbed(text: str) -> str:
    """One line of it without what may be somebody's, or a secret."""
    plain = _CONTROLS.sub(" ", text).strip()
    return _PRIVATE.sub(lambda found: found["id"] or "***", plain)[:_LONGEST]
