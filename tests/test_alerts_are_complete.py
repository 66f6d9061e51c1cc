"""Each alert says how bad it is, what it is and what to do, and is tested both ways; the dashboard is up to date."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deploy.grafana import dashboard
from tests.alerts import DASHBOARD, ROOT, alerts, metrics_in, rule_checks

ALERTS = alerts()


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_has_a_severity_a_summary_and_a_runbook_that_is_there(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"]
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert not anchor or anchor in headings


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_is_tested_to_fire_and_to_stay_silent(alert: dict[str, Any]) -> None:
    expected = [check["exp_alerts"] for check in rule_checks() if check["alertname"] == alert["alert"]]
    assert [] in expected, "no test in which it stays silent"
    assert any(expected), "no test in which it fires"


def test_the_dashboard_is_as_its_code_says() -> None:
    current = DASHBOARD.read_text(encoding="utf-8") == dashboard.document()
    assert current, "deploy/grafana/pager.json is out of date: run `make dashboard`"


def test_the_dashboards_panels_do_not_overlap_and_each_asks_something() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard._panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["targets"], panel["title"]
    assert max(x for x, _ in taken) < 24


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (le, lane) (rate(a_total{x=~"b|c{"}[5m])) / c > 0.5', {"a_total", "c"}),
        ("(max by (s) (up) or vector(0)) == bool 4 and pager:x offset 5m", {"up", "pager:x"}),
        ('label_replace(vector(0), "service", "auth", "", "") < 1e3', set()),
    ],
)
def test_the_tests_find_every_metric_of_an_expression(expression: str, names: set[str]) -> None:
    assert metrics_in(expression) == names
