"""Whether a cluster would accept what the chart renders."""

import io
from collections.abc import Iterable
from contextlib import redirect_stderr
from typing import Any, Final

import kubernetes_validate

from deploy.check import chart
from deploy.check.findings import Finding

VERSIONS: Final = ("1.30", "1.34")
"""The oldest that the chart names (`kubeVersion`), and a current one."""

REQUIRED: Final[dict[str, tuple[str, ...]]] = {
    "ServiceMonitor": ("selector", "endpoints"),
    "PrometheusRule": ("groups",),
}
"""Kinds of the Prometheus operator, whose schemas no package brings: at least these parts of `spec` are there."""


def lint() -> Iterable[Finding]:
    yield Finding("helm lint", "deploy/helm/pager", tuple(chart.lint()))


def accepted() -> Iterable[Finding]:
    """Every document of every set of values, strictly."""
    for name in chart.VALUE_SETS:
        rendered = chart.rendered(name)
        wrong = [
            f"{version} {document['kind']} {document['metadata']['name']}: {fault}"
            for version in VERSIONS
            for document in rendered.documents
            for fault in faults(document, version)
        ]
        count = f"{len(rendered.documents)} documents of {name} values, Kubernetes {' and '.join(VERSIONS)}"
        yield Finding("kubernetes schemas, strict", count, tuple(wrong))


def faults(document: dict[str, Any], version: str) -> list[str]:
    """What a strict API server would refuse."""
    required = REQUIRED.get(document["kind"])
    if required is not None:
        return [f"spec.{part} is missing" for part in required if not document["spec"].get(part)]
    try:
        with redirect_stderr(io.StringIO()):
            kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    return []


def secrets_by_reference() -> Iterable[Finding]:
    """No Secret is made by the chart, and no variable of a pod has a value that looks like one."""
    for name in chart.VALUE_SETS:
        rendered = chart.rendered(name)
        wrong = [f"the chart makes the Secret {secret['metadata']['name']}" for secret in rendered.of("Secret")]
        for owner, pod in rendered.pods():
            for container in pod["spec"]["containers"]:
                for variable in container.get("env", ()):
                    if is_secret(variable["name"]):
                        wrong.append(f"{owner}: {variable['name']} is given as a value")
        yield Finding("secrets by reference only", f"{name} values", tuple(wrong))


def is_secret(variable: str) -> bool:
    """By the names in README, Settings; `…_FILE` is a path."""
    return variable in {
        "PAGER_DATABASE_URL",
        "PAGER_NATS_URL",
        "PAGER_MASTER_KEY",
        "PAGER_MASTER_KEY_PREVIOUS",
        "PAGER_SEALING_KEY",
        "PAGER_SEALING_KEY_PREVIOUS",
        "PAGER_ADMIN_PASSWORD",
    }
