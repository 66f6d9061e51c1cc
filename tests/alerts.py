"""The alert rules and the dashboard as the tests read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
RULES_TEST = ROOT / "deploy" / "prometheus" / "rules_test.yaml"
DASHBOARD = ROOT / "deploy" / "grafana" / "pager.json"

_NO_METRICS = re.compile(r'"(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\]|\b(?:by|without|on|ignoring)\s*\([^)]*\)')
_NAME = re.compile(r"(?<![\w.$])[a-zA-Z_:][\w:]*(?!\s*\()\b(?!\s*\()")
_WORDS = frozenset({"and", "or", "unless", "bool", "offset", "inf", "nan"})


def rules() -> list[dict[str, Any]]:
    """Every recording and alerting rule, in order."""
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def rule_checks() -> Iterator[dict[str, Any]]:
    """Every single expectation of rules_test.yaml."""
    for block in yaml.safe_load(RULES_TEST.read_text(encoding="utf-8"))["tests"]:
        yield from block["alert_rule_test"]


def dashboard_expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def metrics_in(expression: str) -> set[str]:
    """The metrics that a PromQL expression names: all names that are no function, label, keyword or text."""
    # Braces go after texts, which may hold some; `{…}` becomes a mark that ends a name.
    bare = _NO_METRICS.sub(" ", expression)
    return {name for name in _NAME.findall(bare) if name not in _WORDS}
