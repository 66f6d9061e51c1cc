"""Looks at everything that pages depend on, and judges what it finds: what `pager doctor` tells."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import psutil
from nats.aio.client import Client
from nats.errors import Error as NatsError

from cli.console.failure import Failure
from cli.reach import bus, streams
from cli.reach.running import operator_url, run_of
from cli.settings import PORT_SETTING, Settings
from cli.stack.environment import SERVICES as PROCESSES
from cli.stack.ready import get_json
from libs.contracts.subjects import SERVICES

LAG_WARNING: Final = 1000
CLOCK_WARNING: Final = 2.0
"""Seconds: shifts and time-outs are a clock's, so replicas must agree on it."""
ASK_SECONDS: Final = 2.0


class Verdict(StrEnum):
    GOOD = "ok"
    NOTE = "note"
    BAD = "trouble"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Verdict
    detail: str


def judge_health(service: str, health: dict[str, Any]) -> list[Finding]:
    """What a service says about itself: readiness, lag and parked inputs."""
    stopped = "; ".join((*health.get("stopped", ()), *health.get("unstored", ())))
    ready = Verdict.GOOD if health.get("ready") else Verdict.BAD
    role = "active" if health.get("active") else "standby"
    findings = [Finding(f"service {service}", ready, stopped or f"{health.get('instance', service)}, {role}")]
    lag = {upstream: behind for upstream, behind in health.get("lag", {}).items() if behind}
    worst = max(lag.values(), default=0)
    told = ", ".join(f"{upstream} {behind}" for upstream, behind in lag.items())
    verdict = Verdict.BAD if worst >= LAG_WARNING else Verdict.NOTE if worst else Verdict.GOOD
    findings.append(Finding(f"lag of {service}", verdict, told or "none"))
    if parked := {kind: count for kind, count in health.get("parked", {}).items() if count}:
        # Unreadable alerts are a sender's fault; a failure of ours keeps an incident from being paged.
        verdict = Verdict.NOTE if set(parked) == {"input"} else Verdict.BAD
        told = ", ".join(f"{count} {kind}" for kind, count in parked.items())
        findings.append(Finding(f"parked by {service}", verdict, f"{told}: see `pager parked list`"))
    findings += [judge_room(room) for room in health.get("extra", {}).get("rooms", ())]
    return findings


def judge_clock(answered_at: datetime, now: float) -> Finding:
    """The gateway's clock against ours (`now`: Unix seconds)."""
    apart = abs(answered_at.timestamp() - now)
    return Finding("clock", Verdict.GOOD if apart < CLOCK_WARNING else Verdict.BAD, f"{apart:.1f} s apart")


def judge_room(room: dict[str, Any]) -> Finding:
    """What is free of a disk or a limit, as incidents sees it."""
    if not room.get("known", True):
        return Finding(f"storage {room['place']}", Verdict.BAD, "not known: it does not answer")
    verdict = Verdict.BAD if room["low"] else Verdict.GOOD
    free, size = room["free"] / 1024**3, room["size"] / 1024**3
    return Finding(f"storage {room['place']}", verdict, f"{free:.1f} of {size:.1f} GiB free")


def judge_processes(run: dict[str, Any], alive: Callable[[int], bool]) -> list[Finding]:
    """Whether each process of `run.json` lives."""
    entries = run.get("processes", {})
    found = [
        Finding(f"process {name}", Verdict.GOOD if alive(entry["pid"]) else Verdict.BAD, f"pid {entry['pid']}")
        for name, entry in entries.items()
    ]
    missing = [name for name in PROCESSES if name not in entries]
    return found + [Finding(f"process {name}", Verdict.BAD, "not in run.json") for name in missing]


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be reached is a finding, not an error."""
    home = settings.home
    findings = [Finding("home", Verdict.GOOD if home.path.is_dir() else Verdict.BAD, str(home.path))]
    try:
        run = run_of(settings)
    except Failure as failure:
        return [*findings, Finding("stack", Verdict.BAD, str(failure))]
    findings += judge_processes(run, psutil.pid_exists)
    findings += await _gateway(str(run["gateway"]))
    try:
        async with bus.connected(operator_url(settings)) as client:
            findings.append(Finding("NATS", Verdict.GOOD, str(run["nats"])))
            looks: list[Awaitable[list[Finding]]] = [_service(client, service) for service in SERVICES]
            for found in await asyncio.gather(*looks, _streams(client)):
                findings += found
    except Failure as failure:
        findings.append(Finding("NATS", Verdict.BAD, str(failure)))
    return findings


async def _gateway(url: str) -> list[Finding]:
    port = int(url.rpartition(":")[2])
    answer = await get_json(port, "/api/health", ASK_SECONDS)
    now = time.time()
    if answer is None or not isinstance(answer[1], dict):
        return [Finding("gateway", Verdict.BAD, f"{url} does not answer ({PORT_SETTING})")]
    status, body = answer
    parts = ", ".join(f"{name} {state}" for name, state in body.get("services", {}).items())
    verdict = Verdict.GOOD if status == 200 and body.get("status") == "ok" else Verdict.BAD
    findings = [Finding("gateway", verdict, f"{url}: {body.get('status')} ({parts})")]
    if "timestamp" in body:
        findings.append(judge_clock(datetime.fromisoformat(body["timestamp"]), now))
    return findings


async def _service(client: Client, service: str) -> list[Finding]:
    try:
        return judge_health(service, await bus.ask(client, service, "health", {}, ASK_SECONDS))
    except Failure as failure:
        return [Finding(f"service {service}", Verdict.BAD, str(failure))]


async def _streams(client: Client) -> list[Finding]:
    try:
        drifts = await streams.drifts(client.jetstream())
    except (NatsError, TimeoutError) as error:
        return [Finding("streams", Verdict.BAD, str(error) or type(error).__name__)]
    if not drifts:
        return [Finding("streams", Verdict.GOOD, "as declared")]
    return [Finding(f"stream {drift.stream}", Verdict.BAD, str(drift)) for drift in drifts]
