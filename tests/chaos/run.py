"""One crash run: a stack, a programme of scenarios under flowing alerts, and the verdict."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.embedded import Home
from libs.contracts.subjects import SERVICES
from tests.chaos import checks, evidence
from tests.chaos.field import Field, prepared_field
from tests.chaos.report import Report, rows_of
from tests.chaos.scenarios import Scenario

_SETTLES = 60.0
_kept: list[contextlib.ExitStack] = []
_QUIET = 2.0
"""Seconds without any event after which it has come to rest: more than any of the stack's own looks is apart."""


@contextlib.contextmanager
def chaos_home(name: str) -> Iterator[Home]:
    """`PAGER_CHAOS_HOME/<name>`, kept; by default a temporary one, erased unless something failed in it."""
    kept = os.environ.get("PAGER_CHAOS_HOME")
    if kept:
        home = Home(Path(kept) / name)
        home.erase()
        with patch.dict(os.environ, PAGER_HOME=str(home.path)):
            yield home
        return
    with contextlib.ExitStack() as held:
        home = held.enter_context(Home.temporary())
        with patch.dict(os.environ, PAGER_HOME=str(home.path)):
            try:
                yield home
            except BaseException:
                _kept.append(held.pop_all())  # collected as garbage it would be erased after all
                Console().print(f"everything is kept in {home.path}", highlight=False)
                raise


async def crash_run(
    replicas: int, programme: Sequence[Scenario], *, rate: float, minutes: float, alerts: int, pause: float
) -> Report:
    """Deal every blow, `pause` seconds apart at least; at least `alerts` alerts flow; `minutes`: until level 2."""
    console, tag = Console(), f"c{secrets.token_hex(3)}"
    async with prepared_field(replicas, tag, rate, minutes) as attack:
        attack.sender.flowing = True
        with _progress(console, f"replicas: {replicas}", len(programme)) as advance:
            for scenario in programme:
                advance(scenario.name, 0)
                await asyncio.sleep(pause)  # alerts flow undisturbed: the state that a blow is dealt to
                await attack.strike(scenario.name, scenario.kind, scenario.blow)
                advance(scenario.name, 1)
            await attack.until(f"{alerts} alerts", lambda: _so_many(attack, alerts), alerts / rate + _SETTLES)
            advance("until everything due has been sent", 0)
            await _settle(attack, minutes)
        return await _verdict(attack)


async def _so_many(attack: Field, alerts: int) -> bool:
    return len(attack.sender.alerts) >= alerts


async def _settle(attack: Field, minutes: float) -> None:
    """Until the last level is due and sent, and the last acknowledgement has done its work."""
    await attack.come_to_rest(_SETTLES + minutes * 60)
    last = max(alert.accepted_at or 0.0 for alert in attack.sender.alerts.values()) + minutes * 60 + 1

    before: object = None
    since = time.time()

    async def rest() -> bool:
        nonlocal before, since
        await evidence.resolve_strangers(attack.probe, api, attack.sender.tag)
        now = await evidence.unrest(attack.probe)
        if now is None or now != before or now[1]:
            before, since = now, time.time()
        return time.time() > last and time.time() - since > _QUIET

    async with attack.api() as api:
        await attack.until("everything due to be sent", rest, _SETTLES + minutes * 60)


async def _verdict(attack: Field) -> Report:
    gateway = str(attack.pager.run["gateway"])
    by_alert = await evidence.incidents_by_alert(gateway, attack.roster.admin, attack.sender.tag)
    logs = {service: await evidence.read_log(attack.probe, service) for service in SERVICES}
    decided = evidence.decisions(logs["incidents"], logs["escalation"])
    accepted = [a.number for a in attack.sender.alerts.values() if a.accepted_at is not None]
    found = checks.cases(accepted, by_alert, attack.roster, decided, attack.phones.pushes)
    findings = checks.judge(found, attack.downs)
    auditor = await attack.pager.connect("auditor")
    try:
        for service in SERVICES:
            stream = await evidence.read_whole_stream(auditor, service)
            findings += checks.compare(service, logs[service], stream)
    finally:
        await auditor.close()
    return Report(
        replicas=attack.replicas,
        alerts=len(accepted),
        repeated_sends=sum(1 for alert in attack.sender.alerts.values() if alert.sends > 1),
        acknowledgements=len(decided.acknowledged),
        pushes=len(attack.phones.pushes),
        rows=rows_of(attack.strikes, accepted, findings, checks.resends(found)),
        findings=findings,
        refused=attack.responders.refused,
        failed_attempts=evidence.failed_attempts(logs["notifier"]),
    )


@contextlib.contextmanager
def _progress(console: Console, title: str, total: int) -> Iterator[Callable[[str, int], None]]:
    now = TextColumn("{task.description}")
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), now)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda now, done: progress.update(task, description=now, advance=done)
