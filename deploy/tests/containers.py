"""The containers of the compose file as processes of this machine, without an engine.

What an engine would do is done here: names of hosts become loopback, paths of mounts become those of the folder, and
ports become free ones. Commands, variables, files and their order are as the compose file says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psycopg

from cli.embedded.ports import free_port
from cli.simulators.certificates import CA_CERTIFICATE, SERVER_CERTIFICATE, server_context
from deploy.check import compose
from deploy.check.settings import PROCESSES

PROGRAMS: Final = {"python": sys.executable} | {
    name: str(Path(sys.executable).with_name(name)) for name in ("pager", "nats-server")
}
SIMULATED: Final = ("simulator", *(name for name in PROCESSES if name != "notifier"), "notifier-simulated")
JOB_SECONDS: Final = 60
READY_SECONDS: Final = 60.0


@dataclass
class Containers:
    """`folder` is what `pager deploy-config compose` wrote; `postgres_port` a server in which `roles.sql` was run."""

    folder: Path
    postgres_port: int
    tls: bool = False
    """To NATS, with an authority of its own, as the chart demands it; compose itself has none."""
    nats_port: int = field(default_factory=free_port)
    gateway_port: int = field(default_factory=free_port)
    simulator_port: int = field(default_factory=free_port)
    apns_port: int = field(default_factory=free_port)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.secrets = self.folder / "secrets"
        (self.folder / "volume").mkdir()
        for path in self.secrets.glob("*-url"):
            text = path.read_text(encoding="utf-8")
            text = text.replace("@postgres:5432/", f"@127.0.0.1:{self.postgres_port}/")
            text = text.replace("@nats:4222", f"@localhost:{self.nats_port}")
            path.write_text(text.replace("nats://", "tls://") if self.tls else text, encoding="utf-8")
        if self.tls:
            server_context(self.folder, time.time())

    @property
    def gateway(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    def job(self, name: str, *arguments: str) -> str:
        """Run a container to its end; its output. Raises `AssertionError` with it when it fails."""
        done = subprocess.run(
            [*self._command(name), *arguments],
            env=self._environment(name),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=JOB_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def pushes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get(f"http://127.0.0.1:{self.simulator_port}/pushes?limit=1000")
        return found

    @contextmanager
    def running(self) -> Iterator[None]:
        """The servers, the jobs, then every service, in the order of `depends_on`."""
        with ExitStack() as held:
            held.callback(self._stop)
            self._start_nats()
            self.job("schemas")
            self.job("streams")
            self._start("simulator")
            until(lambda: bool(get(f"http://127.0.0.1:{self.simulator_port}/healthz")), self._last_words)
            for name in SIMULATED[1:]:
                self._start(name)
            until(lambda: bool(get(f"{self.gateway}/api/health/ready")), self._last_words)
            yield

    def _command(self, name: str) -> list[str]:
        service = compose.services()[name]
        command = [*service.get("entrypoint", []), *service.get("command", [])]
        ports = {"3001": str(self.simulator_port), "3002": str(self.apns_port)}
        return [PROGRAMS.get(part) or ports.get(part) or self._here(part) for part in command]

    def _environment(self, name: str) -> dict[str, str]:
        variables = {key: self._here(value) for key, value in compose.environment_of(name, {}).items()}
        if "PAGER_PORT" in variables:
            variables["PAGER_PORT"] = str(self.gateway_port)
        if "PAGER_MONITOR_PORT" in variables:
            variables["PAGER_MONITOR_PORT"] = str(free_port())
        if self.tls and "PAGER_NATS_URL_FILE" in variables:
            variables["PAGER_NATS_CA_FILE"] = str(self.folder / CA_CERTIFICATE)
        return {
            "PATH": os.environ["PATH"],
            "PAGER_HOME": str(self.folder / "home"),
            "PYTHONUNBUFFERED": "1",
        } | variables

    def _here(self, text: str) -> str:
        text = text.replace("/var/lib/pager", str(self.folder / "volume"))
        return text.replace("/run/secrets", str(self.secrets))

    def _start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                self._command(name), env=self._environment(name), cwd=self.folder, stdout=log, stderr=log
            )

    def _start_nats(self) -> None:
        config = json.loads((self.secrets / "nats.conf").read_text(encoding="utf-8"))
        config |= {"host": "127.0.0.1", "port": self.nats_port, "http": f"127.0.0.1:{free_port()}"}
        config["pid_file"] = str(self.folder / "nats.pid")
        config["jetstream"]["store_dir"] = str(self.folder / "nats")
        if self.tls:
            file = str(self.folder / SERVER_CERTIFICATE)
            config["tls"] = {"cert_file": file, "key_file": file, "handshake_first": True}
        self._processes["nats"] = start_nats(self.folder, json.dumps(config))
        health = f"http://{config['http']}/healthz?js-enabled-only=true"
        until(lambda: bool(get(health)["status"] == "ok"), self._last_words)

    def _stop(self) -> None:
        for process in reversed(self._processes.values()):
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _last_words(self) -> str:
        logs = {path.stem: path.read_text(encoding="utf-8").splitlines()[-1:] for path in self.folder.glob("*.log")}
        ended = {name: process.poll() for name, process in self._processes.items() if process.poll() is not None}
        return f"ended: {ended}; last words: {logs}"


def start_nats(folder: Path, config: str, **environment: str) -> subprocess.Popen[bytes]:
    """nats-server of the wheel with this configuration; its log is `nats.log`."""
    path = folder / "nats-server.conf"
    path.write_text(config, encoding="utf-8")
    with (folder / "nats.log").open("wb") as log:
        return subprocess.Popen(
            [PROGRAMS["nats-server"], "-c", path], env=os.environ | environment, cwd=folder, stdout=log, stderr=log
        )


def run_script(url: str, script: Path) -> None:
    """What psql does with `roles.sql`: the whole of it, in one transaction."""
    with psycopg.connect(url) as connection:
        connection.execute(script.read_text(encoding="utf-8").encode())


def get(url: str) -> Any:
    """The JSON of an answer; an empty object where nothing answers, or not with 2xx."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - a URL of ours
            return json.load(answer)
    except OSError:
        return {}


def until(look: Callable[[], bool], tell: Callable[[], str], seconds: float = READY_SECONDS) -> None:
    """Return when `look` is true; raises `AssertionError` with what `tell` says when it is too late."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if look():
                return
        except KeyError:
            pass  # an answer without the field: not yet
        assert time.monotonic() < deadline, tell()
        time.sleep(0.1)
