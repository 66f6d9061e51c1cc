"""Other people's linters, each with its configuration beside this file."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from deploy.check import chart
from deploy.check.findings import Finding

HERE: Final = Path(__file__).parent
CHECKOV_ENVIRONMENT: Final = ".tools/checkov"
DOCKERFILE: Final = "deploy/docker/Dockerfile"
COMPOSE: Final = "deploy/compose/compose.yaml"
WORKFLOWS: Final = ".github/workflows"
SECONDS: Final = 300


def run(check: str, looked_at: str, *command: str, environment: dict[str, str] | None = None) -> Finding:
    """A finding from a program's exit code; what it printed says what is wrong."""
    done = subprocess.run(
        command,
        cwd=chart.ROOT,
        env=os.environ | (environment or {}),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    return Finding(check, looked_at, tuple(lines or ["failed without a word"]) if done.returncode != 0 else ())


def _program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def yaml() -> Iterable[Finding]:
    """Everything that is YAML; templates are not, what they render is."""
    with tempfile.TemporaryDirectory() as folder:
        for name in chart.VALUE_SETS:
            Path(folder, f"{name}.yaml").write_text(chart.rendered(name).text, encoding="utf-8")
        strict = [COMPOSE, WORKFLOWS, *sorted(str(file.relative_to(chart.ROOT)) for file in _values())]
        yield run(
            "yamllint",
            "compose, workflows, values",
            _program("yamllint"),
            "--strict",
            "-c",
            str(HERE / "yamllint.yaml"),
            *strict,
        )
        relaxed = ("--strict", "-c", str(HERE / "yamllint-rendered.yaml"))
        yield run("yamllint", "what the chart renders", _program("yamllint"), *relaxed, folder)


def _values() -> list[Path]:
    return [*chart.CHART.glob("*.yaml"), *chart.CHART.glob("ci/*.yaml")]


def schemas() -> Iterable[Finding]:
    """The official schemas of compose files and of workflows."""
    program = _program("check-jsonschema")
    yield run("compose-spec schema", COMPOSE, program, "--builtin-schema", "vendor.compose-spec", COMPOSE)
    workflows = sorted(str(file.relative_to(chart.ROOT)) for file in (chart.ROOT / WORKFLOWS).glob("*.y*ml"))
    schema = ("--builtin-schema", "vendor.github-workflows")
    yield run("GitHub workflow schema", ", ".join(workflows), program, *schema, *workflows)


def dockerfile() -> Iterable[Finding]:
    yield run("hadolint", DOCKERFILE, _program("hadolint"), "--failure-threshold", "style", DOCKERFILE)


def workflow_security() -> Iterable[Finding]:
    """Injection, permissions and credentials in workflows, offline."""
    yield run(
        "zizmor",
        WORKFLOWS,
        _program("zizmor"),
        "--offline",
        "--no-progress",
        "--config",
        str(HERE / "zizmor.yaml"),
        WORKFLOWS,
    )


def policies() -> Iterable[Finding]:
    """checkov, from an environment of its own: its pins contradict ours."""
    uv = os.environ.get("UV", "uv")
    own = {"UV_PROJECT_ENVIRONMENT": str(chart.ROOT / CHECKOV_ENVIRONMENT)}
    prefix = (uv, "run", "--frozen", "--quiet", "--project", str(HERE / "checkov"), "checkov")
    with tempfile.TemporaryDirectory() as folder:
        for name in chart.VALUE_SETS:
            Path(folder, f"{name}.yaml").write_text(chart.rendered(name).text, encoding="utf-8")
        Path(folder, "Dockerfile").write_bytes((chart.ROOT / DOCKERFILE).read_bytes())
        command = (*prefix, "--config-file", str(HERE / "checkov.yaml"), "--directory", folder)
        yield run("checkov", "Dockerfile and what the chart renders", *command, environment=own)
