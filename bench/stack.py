"""A running Pager to measure: `pager up` as any user starts it, with two phones and an integration for each."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import nats
import psutil
from nats.aio.client import Client

from cli.embedded import Home
from cli.reach.api import api_of
from cli.stack import secrets_file
from cli.stack.ready import until_ready
from pager_client import AsyncPager
from pager_client.types import SignedInView

_START_SECONDS = 60.0
_PASSWORD = "Correct-Horse-7-Battery"  # noqa: S105 - of people who exist only in this benchmark


@dataclass
class RunningPager:
    """What `run.json` says, and the doors that the benchmark uses."""

    home: Home
    process: subprocess.Popen[bytes]
    routing_keys: tuple[str, ...] = ()

    @property
    def run(self) -> dict[str, Any]:
        return self.home.read_run() or {}

    @property
    def simulator(self) -> str:
        return str(self.run["simulator"])

    def pids(self) -> dict[str, int]:
        return {name: int(entry["pid"]) for name, entry in self.run["processes"].items()}

    def database_url(self, user: str) -> str:
        role = {"superuser": "postgres", "owner": "pager_owner"}.get(user, f"pager_{user}")
        password = self.home.credentials().postgres[role]
        location = str(self.run["postgres"]).split("@")[-1].removeprefix("postgresql://")
        return f"postgresql://{role}:{password}@{location}"

    async def connect(self, user: str | None = None) -> Client:
        """A NATS connection as one of our users, or as an anonymous sender."""
        if user is None:
            return await nats.connect(self.run["nats"])
        url = str(self.run["nats"]).replace("nats://", f"nats://{user}:{self.home.credentials().nats[user]}@")
        return await nats.connect(url, inbox_prefix=f"_INBOX_{user}")


@asynccontextmanager
async def running_pager(replicas: int, *, simulators: bool = True) -> AsyncIterator[RunningPager]:
    """Start it on free ports in `PAGER_HOME`, and stop it at the end; the data stay."""
    home = Home(os.environ.get("PAGER_HOME") or ".pager")
    environment = os.environ | {
        "PAGER_HOME": str(home.path),
        "PAGER_SIMULATOR_PORT": "0",
        # One admin asks for what a thousand people would.
        "ENABLE_RATE_LIMITING": os.environ.get("ENABLE_RATE_LIMITING", "false"),
        "PAGER_LOG_LEVEL": os.environ.get("PAGER_LOG_LEVEL", "warning"),
    }
    command = [sys.executable, "-m", "cli.main", "up", "--port", "0", "--replicas", str(replicas)]
    if not simulators:
        command.append("--no-simulators")
    home.prepare()
    log = (home.logs / "bench.log").open("ab")
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220
    pager = RunningPager(home, process)
    try:
        await _until_ready(pager)
        if simulators:
            await _prepare(pager)
        yield pager
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)
        log.close()


async def _until_ready(pager: RunningPager) -> None:
    deadline = asyncio.get_running_loop().time() + _START_SECONDS
    while "gateway" not in pager.run:
        if pager.process.poll() is not None:
            raise SystemExit(f"pager up ended with {pager.process.returncode}: see {pager.home.logs / 'bench.log'}")
        if asyncio.get_running_loop().time() > deadline:
            raise SystemExit(f"pager up was not ready in {_START_SECONDS:.0f} s")
        await asyncio.sleep(0.1)
    await until_ready(int(pager.run["gateway"].rsplit(":", 1)[1]), _START_SECONDS, lambda name: name)


@asynccontextmanager
async def as_admin(pager: RunningPager, *, retries: int = 2) -> AsyncIterator[tuple[AsyncPager, SignedInView]]:
    """`async with as_admin(pager) as (api, signed_in)`; what is measured is not tried again: `retries=0`."""
    admin = secrets_file.load_or_make(pager.home, os.environ)
    async with api_of(str(pager.run["gateway"]), retries=retries) as api:
        yield api, await api.sign_in(admin.admin_email, admin.admin_password, "bench")


async def _prepare(pager: RunningPager) -> None:
    """Two people with a phone each, and for each a policy and an integration that page nobody else."""
    tag = secrets.token_hex(4)
    phones = [(f"ios-{tag}", secrets.token_hex(32)), (f"android-{tag}", f"fcm-{tag}-{secrets.token_hex(24)}")]
    async with as_admin(pager) as (door, _):
        pager.routing_keys = tuple([await _responder(door, *phone) for phone in phones])


async def _responder(api: AsyncPager, name: str, push_token: str) -> str:
    email = f"{name}@pager.local"
    person = {"email": email, "password": _PASSWORD, "firstName": name, "lastName": "Bench"}
    user = (await api.call("POST", "/users", person))["user"]["id"]
    await api.login(email=email, password=_PASSWORD, deviceId=f"phone of {name}", pushToken=push_token)
    level = {"timeoutMinutes": 600, "targets": [{"type": "user", "id": user}]}
    policy = await api.call("POST", "/escalation/policies", {"name": name, "repeat": 0, "levels": [level]})
    body = {"name": name, "type": "generic", "policyId": policy["policy"]["id"]}
    return str((await api.call("POST", "/integrations", body))["integration"]["key"])


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """Processor seconds so far, with those of children (PostgreSQL's backends)."""
    seconds = {}
    for name, pid in pids.items():
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=name == "postgres")]
        except psutil.NoSuchProcess:
            continue
        seconds[name] = sum(_cpu(p) for p in (family if name == "postgres" else family[:1]))
    return seconds


def _cpu(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    # Backends that have ended are counted in their parent's children times.
    return float(times.user + times.system + times.children_user + times.children_system)


def pss_mib(pids: dict[str, int]) -> dict[str, float]:
    """Proportional set size by process in MiB; PostgreSQL with its backends."""
    sizes = {}
    for name, pid in pids.items():
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)] if name == "postgres" else [process]
        except psutil.NoSuchProcess:
            continue
        sizes[name] = round(sum(_pss(p) for p in family), 1)
    return sizes


def _pss(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 2**20
    except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
        return 0.0
