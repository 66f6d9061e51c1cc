"""Who may reach whom in the cluster, worked out from the rendered policies as a network plugin does."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.check.chart import VALUE_SETS, Document, over, render, rendered, values_of
from deploy.check.settings import PROCESSES

Labels = dict[str, str]
DATABASE, BUS, PUSH, DNS = 5432, 4222, 443, 53


def pods(values: str) -> dict[str, Labels]:
    """Labels by component."""
    labels = [pod["metadata"]["labels"] for _, pod in rendered(values).pods()]
    return {one["app.kubernetes.io/component"]: one for one in labels}


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for expression in selector.get("matchExpressions", ()):
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def policies(values: str, labels: Labels, direction: str) -> list[Document]:
    found = rendered(values).of("NetworkPolicy")
    return [p for p in found if direction in p["spec"]["policyTypes"] and selects(p["spec"]["podSelector"], labels)]


def open_ports(values: str, labels: Labels, direction: str) -> set[int | str]:
    rules = [r for p in policies(values, labels, direction) for r in p["spec"].get(direction.lower(), ())]
    return {port["port"] for rule in rules for port in rule["ports"]}


@pytest.mark.parametrize("values", VALUE_SETS)
def test_every_policy_selects_pods_that_exist_and_every_pod_is_closed_both_ways(values: str) -> None:
    existing = pods(values)
    assert set(existing) == {*PROCESSES, "schemas", "streams", "test"}
    for policy in rendered(values).of("NetworkPolicy"):
        chosen = [name for name, labels in existing.items() if selects(policy["spec"]["podSelector"], labels)]
        assert chosen, policy["metadata"]["name"]
    for name, labels in existing.items():
        for direction in ("Ingress", "Egress"):
            assert policies(values, labels, direction), f"{name} is open: {direction}"


@pytest.mark.parametrize("values", VALUE_SETS)
def test_each_pod_reaches_what_it_needs_and_nothing_else(values: str) -> None:
    out = {name: open_ports(values, labels, "Egress") for name, labels in pods(values).items()}
    stateful = {DNS, BUS, DATABASE}
    assert out == {
        "auth": stateful,
        "oncall": stateful,
        "incidents": stateful,
        "escalation": stateful,
        "notifier": stateful | {PUSH},
        "gateway": {DNS, BUS},
        "schemas": {DNS, DATABASE},
        "streams": {DNS, BUS},
        "test": {DNS, "http"},
    }


def test_only_the_gateway_is_reached_and_every_service_only_by_prometheus() -> None:
    inside = {name: open_ports("production", labels, "Ingress") for name, labels in pods("production").items()}
    assert inside["gateway"] == {"http", "monitor"}
    assert {name for name, ports in inside.items() if "http" in ports} == {"gateway"}
    assert {name for name, ports in inside.items() if "monitor" in ports} == set(PROCESSES)
    assert {name for name, labels in pods("small").items() if open_ports("small", labels, "Ingress")} == {"gateway"}


def test_pushes_go_out_of_the_cluster_but_not_into_it() -> None:
    (rule,) = rendered("default").named("NetworkPolicy", "pager-push")["spec"]["egress"]
    four, six = (peer["ipBlock"] for peer in rule["to"])
    assert four["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(four["except"])
    assert "fc00::/7" in six["except"]


def test_the_services_select_the_pods_behind_them() -> None:
    made = rendered("production")
    gateway = made.named("Service", "pager-gateway")["spec"]["selector"]
    monitor = made.named("Service", "pager-monitor")["spec"]["selector"]
    chosen = pods("production")
    assert [name for name, labels in chosen.items() if gateway.items() <= labels.items()] == ["gateway"]
    assert {name for name, labels in chosen.items() if monitor.items() <= labels.items()} == set(PROCESSES)
    (scrape,) = made.of("ServiceMonitor")
    labels = made.named("Service", "pager-monitor")["metadata"]["labels"]
    assert scrape["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_traces_reach_the_collector_where_one_is_named() -> None:
    traced = render(over(values_of("default"), {"telemetry": {"otlpEndpoint": "http://collector.observability:4318"}}))
    (rule,) = traced.named("NetworkPolicy", "pager-telemetry")["spec"]["egress"]
    assert rule["ports"] == [{"port": 4318, "protocol": "TCP"}]
    for _, pod in traced.pods():
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] in PROCESSES:
            names = [one["name"] for one in pod["spec"]["containers"][0]["env"]]
            assert "OTEL_EXPORTER_OTLP_ENDPOINT" in names
