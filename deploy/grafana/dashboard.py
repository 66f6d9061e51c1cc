"""The Grafana dashboard as code: `python -m deploy.grafana.dashboard` writes `pager.json` beside this file.

Plain JSON of Grafana's classic schema: the SDK for it (grafana-foundation-sdk) has classes for everything, and all that
is needed here is a panel with a title, a unit and some queries.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

TARGET: Final = Path(__file__).resolve().parent / "pager.json"
_SCHEMA: Final = 39
"""Grafana 10 and newer; older dashboards are migrated when they are loaded."""
_WIDTH: Final = 24
_HEIGHT: Final = 8
_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_SERVICE: Final = 'service=~"$service"'
_RATE: Final = "[$__rate_interval]"


@dataclass(frozen=True)
class Query:
    """One PromQL expression and what its series are called, e.g. `{{service}}`."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """`threshold`: above it the line is drawn red, as the alert rules see it. `stat`: the last value, large."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    text: str = ""
    threshold: float | None = None
    stat: bool = False
    width: int = 8


@dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def _quantiles(metric: str, by: str, where: str = _SERVICE) -> tuple[Query, ...]:
    """The median and the 99th percentile of a histogram."""
    labels = ", ".join(part for part in ("le", by) if part)
    name = " ".join(f"{{{{{label}}}}}" for label in by.split(", ") if label)
    rate = f"sum by ({labels}) (rate({metric}_bucket{{{where}}}{_RATE}))"
    return tuple(Query(f"histogram_quantile({q}, {rate})", f"{name} p{round(q * 100)}".strip()) for q in (0.5, 0.99))


def _rate(metric: str, by: str, where: str = _SERVICE) -> tuple[Query, ...]:
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return (Query(f"sum by ({by}) (rate({metric}{{{where}}}{_RATE}))", legend),)


def _highest(metric: str, by: str, where: str = _SERVICE) -> tuple[Query, ...]:
    """Every replica reads the same table: the highest, not the sum."""
    legend = " ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    return (Query(f"max by ({by}) ({metric}{{{where}}})", legend),)


PAGES = Row(
    "Pages",
    (
        Panel("Paging works", (Query("pager:available", "available"),), "bool_yes_no", stat=True, width=4),
        Panel(
            "Oldest unanswered",
            (Query('max(pager_incident_unanswered_seconds{priority=~"critical|high"})', "critical, high"),),
            "s",
            threshold=300,
            stat=True,
            width=4,
        ),
        Panel(
            "From incident to the vendor",
            _quantiles("pager_page_latency_seconds", "provider", 'since="incident"'),
            "s",
            "First pages: from the incident to the vendor's acceptance, which is not delivery.",
            5,
        ),
        Panel(
            "From alert to incident",
            _quantiles("pager_alert_wait_seconds", "lane", ""),
            "s",
            "Oldest alert of a batch.",
        ),
        Panel("Incidents", _rate("incidents_created_total", "priority", ""), "cps"),
        Panel("Incidents by source", _rate("incidents_created_total", "source", ""), "cps"),
        Panel("Levels paged", _rate("escalations_triggered_total", "level, reason", ""), "cps"),
        Panel("Pushes by outcome", _rate("pager_pushes_total", "provider, verdict", ""), "cps"),
        Panel(
            "Pushes that fail",
            (
                Query(
                    f'sum by (provider) (rate(pager_pushes_total{{verdict!="accepted"}}{_RATE}))'
                    f" / sum by (provider) (rate(pager_pushes_total{_RATE}))",
                    "{{provider}}",
                ),
            ),
            "percentunit",
            threshold=0.05,
        ),
        Panel("Vendors' answers", _quantiles("pager_push_duration_seconds", "provider", ""), "s"),
        Panel("Pushes overdue", _highest("pager_pushes_overdue_seconds", "provider", ""), "s", threshold=15),
        Panel("Breakers open", _highest("pager_push_breaker", "provider", 'state="open"'), "bool_yes_no"),
        Panel(
            "Answers of people",
            _quantiles("pager_incident_response_seconds", "priority", ""),
            "s",
            "From the incident to the first acknowledgement.",
            300,
        ),
    ),
)
RED = Row(
    "Requests",
    (
        Panel("HTTP requests", _rate("http_requests_total", "status", ""), "reqps"),
        Panel("HTTP errors", (Query("pager:http_error_ratio:5m", "5xx"),), "percentunit", threshold=0.01),
        Panel(
            "HTTP durations",
            _quantiles("api_request_duration_seconds", "", 'endpoint!~"/(health|metrics|docs).*"'),
            "s",
            threshold=0.2,
        ),
        Panel("Requests over NATS", _rate("pager_requests_total", "service, operation"), "reqps"),
        Panel("Their errors", _rate("pager_requests_total", "service, outcome", f'{_SERVICE},outcome!="ok"'), "reqps"),
        Panel("Their durations", _quantiles("pager_request_duration_seconds", "service"), "s"),
    ),
)
APP = Row(
    "Phone app",
    (
        Panel("Start", _quantiles("pager_app_timing_seconds", "platform", 'name="start"'), "s", threshold=1),
        Panel(
            "From the push to the screen",
            _quantiles("pager_app_timing_seconds", "platform", 'name="push_to_screen"'),
            "s",
            threshold=0.3,
        ),
        Panel(
            "From the tap to the answer",
            _quantiles("pager_app_timing_seconds", "platform", 'name="tap_to_committed"'),
            "s",
            threshold=0.15,
        ),
        Panel("Its errors", _rate("pager_app_errors_total", "platform", ""), "cps", "As apps tell of them."),
    ),
)
STREAMS = Row(
    "Lag, relay, parked",
    (
        Panel("Lag", _highest("pager_consumer_lag", "service, upstream, lane"), threshold=100),
        Panel("Events not published", _highest("pager_relay_lag", "service, lane")),
        Panel("Age of the oldest of them", _highest("pager_relay_age_seconds", "service, lane"), "s", threshold=10),
        Panel("Parked", _highest("pager_parked", "service, kind"), threshold=1),
        Panel("Consumers stopped", _highest("pager_consumer_stopped", "service, upstream, lane"), "bool_yes_no"),
        Panel("Batches", _quantiles("pager_consumer_batch_seconds", "service, upstream"), "s"),
        Panel(
            "Inputs a batch",
            (
                Query(
                    f"sum by (service, upstream) (rate(pager_consumer_batch_size_sum{{{_SERVICE}}}{_RATE}))"
                    f" / sum by (service, upstream) (rate(pager_consumer_batch_size_count{{{_SERVICE}}}{_RATE}))",
                    "{{service}} {{upstream}}",
                ),
            ),
        ),
    ),
)
TIMERS = Row(
    "Timers",
    (
        Panel("Escalation delay", (Query("max(escalation_delay_seconds)", "late"),), "s", threshold=300),
        Panel("Overdue", _highest("pager_timers_overdue_seconds", "service"), "s", threshold=30),
        Panel("Due", _highest("pager_timers_due", "service")),
        Panel("How late they fired", _quantiles("pager_timer_delay_seconds", "service"), "s"),
    ),
)
DATABASE = Row(
    "Database",
    (
        Panel(
            "Connections busy",
            (
                Query(
                    "sum by (service, instance, role)"
                    f' (rate(pager_database_busy_seconds_sum{{{_SERVICE},role=~"work|rpc|query"}}{_RATE}))'
                    f" / max by (service, instance, role) (pager_database_pool_max{{{_SERVICE}}})",
                    "{{service}} {{role}} {{instance}}",
                ),
            ),
            "percentunit",
            threshold=0.8,
        ),
        Panel("Connections in use", _highest("pager_database_pool_used", "service, role, instance")),
        Panel("Waiting for a connection", _quantiles("pager_database_wait_seconds", "service, role"), "s"),
        Panel("Appends", _quantiles("pager_append_seconds", "service, role"), "s"),
        Panel("Conflicts", _rate("pager_append_conflicts_total", "service"), "cps"),
        Panel("Reachable", _highest("pager_database_up", "service, instance"), "bool_yes_no"),
    ),
)
PROCESSES = Row(
    "Processes",
    (
        Panel("Ready", (Query(f"sum by (service) (pager_ready{{{_SERVICE}}})", "{{service}}"),)),
        Panel("Active", _highest("pager_active", "service, instance"), "bool_yes_no"),
        Panel("Connected to NATS", _highest("pager_bus_connected", "service, instance"), "bool_yes_no"),
        Panel("CPU", _rate("process_cpu_seconds_total", "service, instance"), "percentunit"),
        Panel("Memory", _highest("process_resident_memory_bytes", "service, instance"), "bytes"),
        Panel("Open files", _highest("process_open_fds", "service, instance")),
        Panel(
            "Versions",
            (Query(f"count by (service, version) (pager_build_info{{{_SERVICE}}})", "{{service}} {{version}}"),),
        ),
    ),
)
STORAGE = Row(
    "Storage",
    (
        Panel("Stored by NATS", _highest("pager_bus_stores", "service, instance"), "bool_yes_no"),
        Panel("ALERTS", (Query("max(pager_alerts_stream_used_ratio)", "used"),), "percentunit", threshold=0.8),
        Panel("Free for data", (Query("min by (place) (pager_storage_free_bytes)", "{{place}}"),), "bytes"),
        Panel(
            "Used of it",
            (
                Query(
                    "1 - min by (place) (pager_storage_free_bytes) / max by (place) (pager_storage_size_bytes)",
                    "{{place}}",
                ),
            ),
            "percentunit",
            threshold=0.9,
        ),
    ),
)
ROWS: Final = (PAGES, RED, APP, STREAMS, TIMERS, STORAGE, DATABASE, PROCESSES)


def _panel(panel: Panel, number: int, x: int, y: int) -> dict[str, Any]:
    red = [] if panel.threshold is None else [{"color": "red", "value": panel.threshold}]
    custom = {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": "line" if red else "off"}}
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}, *red]},
    }
    tooltip = {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list", "placement": "bottom"}}
    return {
        "id": number,
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": _HEIGHT},
        "fieldConfig": {"defaults": defaults | ({} if panel.stat else {"custom": custom}), "overrides": []},
        "options": {"reduceOptions": {"calcs": ["lastNotNull"]}} if panel.stat else tooltip,
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": _SOURCE, "expr": q.expr, "legendFormat": q.legend}
            for i, q in enumerate(panel.queries)
        ],
    }


def _panels() -> list[dict[str, Any]]:
    numbers, placed, y = count(1), list[dict[str, Any]](), 0
    for row in ROWS:
        head = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append({"id": next(numbers), "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1}} | head)
        x, y = 0, y + 1
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y = 0, y + _HEIGHT
            placed.append(_panel(panel, next(numbers), x, y))
            x += panel.width
        y += _HEIGHT
    return placed


def _variables() -> list[dict[str, Any]]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    service = {
        "name": "service",
        "type": "query",
        "label": "Service",
        "datasource": _SOURCE,
        "query": {"query": "label_values(pager_build_info, service)", "refId": "service"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    return [source, service]


def document() -> str:
    """The dashboard as it is imported or provisioned."""
    dashboard = {
        "uid": "pager",
        "title": "Pager",
        "description": "Written by deploy/grafana/dashboard.py: change that, not this.",
        "tags": ["pager"],
        "schemaVersion": _SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "timezone": "utc",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": _panels(),
    }
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the file if it is not as the code says."""
    text = document()
    if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        TARGET.write_text(text, encoding="utf-8")
        sys.stdout.write(f"written: {TARGET.name}\n")


if __name__ == "__main__":
    main()
