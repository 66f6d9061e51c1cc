"""Looks at everything that pages depend on, and judges what it finds: what `pager doctor` tells."""

import asyncio
import time
from collections.abc import Callable, Sequence
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
from cli.stack.checking import check
from cli.stack.environment import SERVICES as PROCESSES
from cli.stack.ready import HEALTH_SECONDS, get_json, troubles_in
from libs.chassis.monitor.verdict import LAG, Found, Silent, Verdict, judge, look
from libs.contracts.health import BUS, DATABASE, STORAGE, Effect, Health, Trouble, in_public
from libs.contracts.subjects import SERVICES

CLOCK_WARNING: Final = 2.0
"""Seconds: shifts and time-outs are a clock's, so replicas must agree on it."""
_SERVERS: Final = {DATABASE: "PostgreSQL", BUS: "NATS"}
"""What people call them."""


class Level(StrEnum):
    GOOD = "ok"
    NOTE = "note"
    BAD = "trouble"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    verdict: Level
    detail: str


def judge_settings(settings: Settings) -> list[Finding]:
    """What a start would refuse, and what nobody reads."""
    checked = check(settings.environment, settings.ports)
    faults = dict.fromkeys((*settings.faults, *checked.faults))
    findings = [Finding("settings", Level.BAD, fault) for fault in faults]
    findings += [Finding("settings", Level.NOTE, hint) for hint in checked.hints]
    return findings or [Finding("settings", Level.GOOD, "can be used")]


def judge_service(service: str, verdict: Verdict) -> list[Finding]:
    """What a service says about itself: readiness, lag and parked inputs, judged as everywhere."""
    word = verdict.found.words[service]
    said = [trouble.problem for trouble in verdict.of(service)]
    if not isinstance(word, Health):
        return [Finding(f"service {service}", _worst(verdict.of(service)), "; ".join(said) or "not known")]
    role = "active" if word.active else "standby"
    more = (*word.stopped, *word.unstored)
    level = _worst(verdict.of(service)) if said or not more else Level.NOTE  # others are to blame
    findings = [Finding(f"service {service}", level, "; ".join((*said, *more)) or f"{word.instance}, {role}")]
    lag = {upstream: behind for upstream, behind in word.lag.items() if behind}
    level = Level.BAD if max(lag.values(), default=0) >= LAG else Level.NOTE if lag else Level.GOOD
    told = ", ".join(f"{upstream} {behind}" for upstream, behind in lag.items())
    findings.append(Finding(f"lag of {service}", level, told or "none"))
    if parked := {kind: count for kind, count in word.parked.items() if count}:
        level = Level.NOTE if set(parked) == {"input"} else Level.BAD
        told = ", ".join(f"{count} {kind}" for kind, count in parked.items())
        findings.append(Finding(f"parked by {service}", level, f"{told}: see `pager parked list`"))
    if word.extra.get("mail") == "off":
        told = "off: links for invites and lost passwords are shown to admins, who hand them over (PAGER_SMTP_URL)"
        findings.append(Finding("mail", Level.NOTE, told))
    if sign_in := word.extra.get("signIn"):
        findings.append(Finding("sign-in", Level.GOOD, f"with {sign_in}"))
    findings += [judge_room(room) for room in word.extra.get("rooms", ())]
    if keys := word.extra.get("keys"):
        findings += judge_keys(keys)
    return findings


def judge_others(verdict: Verdict) -> list[Finding]:
    """Bus, database, and whatever else is in trouble that is no service of ours."""
    others = {trouble.culprit: verdict.of(trouble.culprit) for trouble in verdict.troubles}
    named = {_SERVERS[part]: others.pop(part, []) for part in (BUS, DATABASE)}
    named |= {culprit: troubles for culprit, troubles in others.items() if culprit not in (*SERVICES, STORAGE)}
    return [
        Finding(name, _worst(troubles), "; ".join(trouble.problem for trouble in troubles) or "answers")
        for name, troubles in named.items()
    ]


def _worst(troubles: Sequence[Trouble]) -> Level:
    """A warning is how an installation begins: nothing has broken."""
    if any(trouble.effect is not Effect.WARNING for trouble in troubles):
        return Level.BAD
    return Level.NOTE if troubles else Level.GOOD


def judge_clock(answered_at: datetime, now: float) -> Finding:
    """The gateway's clock against ours (`now`: Unix seconds)."""
    apart = abs(answered_at.timestamp() - now)
    return Finding("clock", Level.GOOD if apart < CLOCK_WARNING else Level.BAD, f"{apart:.1f} s apart")


def judge_room(room: dict[str, Any]) -> Finding:
    """What is free of a disk or a limit, as incidents sees it."""
    if not room.get("known", True):
        return Finding("storage", Level.BAD, f"{room['place']}: not known: it does not answer")
    verdict = Level.BAD if room["low"] else Level.GOOD
    free, size = room["free"] / 1024**3, room["size"] / 1024**3
    return Finding("storage", verdict, f"{free:.1f} of {size:.1f} GiB free in {room['place']}")


def judge_keys(told: dict[str, Any]) -> list[Finding]:
    """How old auth's signing key is, and whether the master key before may go; what is late says auth itself."""
    signing = next((key for key in told["keys"] if key["use"] == "signing"), None)
    since = f"signs since {signing['notBefore'][:10]}" if signing else "none signs"
    findings = [
        Finding(
            "signing key", Level.GOOD if signing else Level.BAD, f"{since}; the next one: {told['nextRotation'][:10]}"
        )
    ]
    master = told["masterKey"]
    others, unreadable, given = master["sealedByOthers"], master["unreadable"], told["previousGiven"]
    if unreadable:
        detail = f"{unreadable} secrets cannot be opened: give the key that sealed them as PAGER_MASTER_KEY_PREVIOUS"
        findings.append(Finding("master key", Level.BAD, detail))
    elif others:
        waits = f", when {', '.join(master['waitsFor'])} has it too" if master.get("waitsFor") else ""
        findings.append(Finding("master key", Level.NOTE, f"{others} secrets are still to be sealed anew by it{waits}"))
    elif given:
        detail = "nothing is sealed by the previous one any more: take PAGER_MASTER_KEY_PREVIOUS away"
        findings.append(Finding("master key", Level.NOTE, detail))
    else:
        findings.append(Finding("master key", Level.GOOD, "seals all that is kept"))
    return findings


def judge_processes(run: dict[str, Any], state: Callable[[int], str | None]) -> list[Finding]:
    """Whether each process of `run.json` lives; `state` gives what the system says of a pid (None: it is gone)."""
    entries = run.get("processes", {})
    found = [_process(name, entry["pid"], state(entry["pid"])) for name, entry in entries.items()]
    missing = [name for name in PROCESSES if name not in entries]
    return found + [Finding(f"process {name}", Level.BAD, "not in run.json") for name in missing]


def _process(name: str, pid: int, state: str | None) -> Finding:
    if state is None:
        return Finding(f"process {name}", Level.BAD, f"pid {pid} is gone")
    if state == psutil.STATUS_STOPPED:
        return Finding(f"process {name}", Level.BAD, f"pid {pid} is stopped: kill -CONT {pid}")
    return Finding(f"process {name}", Level.GOOD, f"pid {pid}")


def state_of(pid: int) -> str | None:
    """As `psutil` names it; None where there is no such process, or it only waits to be buried."""
    try:
        state = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return None
    return None if state == psutil.STATUS_ZOMBIE else state


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be reached is a finding, not an error."""
    home = settings.home
    findings = judge_settings(settings)
    findings += [Finding("home", Level.GOOD if home.path.is_dir() else Level.BAD, str(home.path))]
    try:
        run = run_of(settings)
    except Failure as failure:
        return [*findings, Finding("stack", Level.BAD, str(failure))]
    findings += judge_processes(run, state_of)
    try:
        async with bus.connected(operator_url(settings)) as client:
            verdict = judge(await look(client))
            gateway, declared = _gateway(str(run["gateway"]), verdict), _streams(client, verdict, settings)
            found, found_streams = await asyncio.gather(gateway, declared)
    except Failure as failure:
        verdict = judge(Found(bus=False, words=dict.fromkeys(SERVICES, Silent.UNKNOWN)))
        found = await _gateway(str(run["gateway"]), verdict)
        return [*findings, *found, Finding("NATS", Level.BAD, str(failure))]
    findings += found + judge_others(verdict)
    findings += [finding for service in SERVICES for finding in judge_service(service, verdict)]
    return findings + found_streams


async def _gateway(url: str, verdict: Verdict) -> list[Finding]:
    """It answers, and tells what we have seen; a culprit that it alone sees is its own."""
    port = int(url.rpartition(":")[2])
    answer = await get_json(port, "/api/health", HEALTH_SECONDS)
    now = time.time()
    if answer is None or not isinstance(answer[1], dict):
        return [Finding("gateway", Level.BAD, f"{url} does not answer ({PORT_SETTING})")]
    body = answer[1]
    parts = ", ".join(f"{name} {state}" for name, state in body.get("services", {}).items())
    seen = {trouble.culprit for trouble in (*verdict.troubles, *in_public(verdict.troubles))}
    alone = sorted({said["culprit"] for said in troubles_in(answer)} - seen)
    told = f"; it alone says: trouble with {', '.join(alone)}" if alone else ""
    level = Level.BAD if alone else Level.GOOD
    findings = [Finding("gateway", level, f"{url}: {body.get('status')} ({parts}){told}")]
    if body.get("maintenance"):
        findings.append(Finding("maintenance", Level.NOTE, "is on: people change nothing, and pages go out"))
    if "timestamp" in body:
        findings.append(judge_clock(datetime.fromisoformat(body["timestamp"]), now))
    return findings


async def _streams(client: Client, verdict: Verdict, settings: Settings) -> list[Finding]:
    if not verdict.found.bus:
        return []
    try:
        drifts = await streams.drifts(client.jetstream())
    except (NatsError, TimeoutError) as error:
        return [Finding("streams", Level.BAD, str(error) or type(error).__name__)]
    if not drifts:
        return [Finding("streams", Level.GOOD, "as declared")]
    ours = "`pager up` declares it again within 15 s"
    elsewhere = "`PAGER_NATS_URL=<the operator's> pager prepare streams` declares it"
    cure = ours if settings.nats_url is None else elsewhere
    return [
        Finding(f"stream {drift.stream}", Level.BAD, f"{drift}: {cure}" if drift.is_missing else str(drift))
        for drift in drifts
    ]
