"""The chart's monitoring: the rules that are tested with promtool are those that a cluster gets."""

from __future__ import annotations

from pathlib import Path

import yaml

from deploy.check.chart import rendered

_DEPLOY = Path(__file__).parents[1]
_TESTED, _SHIPPED = _DEPLOY / "prometheus/rules.yaml", _DEPLOY / "helm/pager/files/rules.yaml"


def test_the_chart_ships_the_rules_that_are_tested() -> None:
    assert _SHIPPED.read_bytes() == _TESTED.read_bytes(), f"cp {_TESTED} {_SHIPPED}"


def test_every_tested_rule_is_rendered_as_it_is() -> None:
    (rule,) = rendered("production").of("PrometheusRule")
    groups = {group["name"]: group for group in rule["spec"]["groups"]}
    for group in yaml.safe_load(_TESTED.read_text())["groups"]:
        assert groups.pop(group["name"]) == group
    assert list(groups) == ["pager.cluster"]


def test_our_own_label_service_survives_the_scrape() -> None:
    (monitor,) = rendered("production").of("ServiceMonitor")
    assert all(endpoint["honorLabels"] for endpoint in monitor["spec"]["endpoints"])
