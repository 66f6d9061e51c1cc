"""The blows: what is killed or stopped, how its damage is done, and when it counts as back."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
import psutil

from libs.contracts.subjects import SERVICES
from tests.chaos.field import Field
from tests.chaos.outsiders import chatty_key, hostile_senders, vendor_fails_for_some

Blow = Callable[[Field], Awaitable[None]]
PATH = ("incidents", "escalation", "notifier")
"""The services that an alert goes through."""
STOPPED_ALONE = 3.0
"""Seconds for which a service without a second replica is stopped."""

SERVICE_KILLED = "takeover after SIGKILL"
SERVICE_STOPPED = "takeover after SIGSTOP"
ASIDE_KILLED = "takeover after SIGKILL, off the alerts' way"
ASIDE_STOPPED = "takeover after SIGSTOP, off the alerts' way"
NATS_KILLED = "NATS killed and restarted"


@dataclass(frozen=True)
class Scenario:
    """`kind` names the limit that it is held against, if any (`test_crashes.py`)."""

    name: str
    blow: Blow
    kind: str = ""


async def kill_service(field: Field, service: str) -> None:
    """SIGKILL to the active replica."""
    active = await field.active(service)
    with field.down(service):
        field.signal(active.process, signal.SIGKILL)
        await field.taken_over(service, active)


async def stop_service(field: Field, service: str) -> None:
    """SIGSTOP to the active replica; SIGCONT a second after another took over, or after three seconds."""
    active = await field.active(service)
    with field.down(service) as taken_over:
        stopped = psutil.Process(field.signal(active.process, signal.SIGSTOP))
        try:
            if field.replicas > 1:
                await field.taken_over(service, active)
                taken_over()
                await asyncio.sleep(1.0)  # not to wait for anything: the stop is to last
            else:
                await asyncio.sleep(STOPPED_ALONE)
        finally:
            stopped.send_signal(signal.SIGCONT)
        if field.replicas == 1:
            await field.taken_over(service, active)


async def kill_gateway(field: Field) -> None:
    with field.down("gateway"):
        field.signal("gateway", signal.SIGKILL)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as http:

            async def serves() -> bool:
                with suppress(aiohttp.ClientError, TimeoutError):
                    async with http.get(f"{field.pager.run['gateway']}/api/health/live") as answer:
                        return answer.status == 200
                return False

            await field.until("the gateway", serves)


async def kill_nats(field: Field, damage: Callable[[Path], None] | None = None) -> None:
    """SIGKILL to the bus; its files are damaged before the supervisor, who is stopped meanwhile, restarts it."""
    pid = field.pager.pids()["nats"]
    with field.down("nats"):
        with _supervisor_stopped(field, only_if=damage is not None):
            field.signal("nats", signal.SIGKILL)
            if damage is not None:
                await field.until("the end of NATS", partial(_ended, pid))
                damage((field.pager.home.nats / "jetstream" / "PAGER" / "streams").resolve())
        await field.until("NATS", partial(_greets, field, pid))


def _supervisor_stopped(field: Field, only_if: bool) -> ExitStack:
    held = ExitStack()
    if only_if:
        supervisor = psutil.Process(field.pager.process.pid)
        supervisor.suspend()
        held.callback(supervisor.resume)
    return held


async def _ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def _greets(field: Field, old: int) -> bool:
    if field.pager.pids().get("nats", old) == old:
        return False
    host, port = str(field.pager.run["nats"]).removeprefix("nats://").split(":")
    try:
        reader, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    try:
        return (await reader.read(4)) == b"INFO"
    finally:
        writer.close()


def cut_tail(stream: str, size: int) -> Callable[[Path], None]:
    """Take the last `size` bytes from the stream's newest block, as a power cut takes what was not synced."""

    def damage(streams: Path) -> None:
        blocks = sorted((streams / stream / "msgs").glob("*.blk"), key=lambda path: int(path.stem))
        with blocks[-1].open("r+b") as block:
            length = block.seek(0, 2)
            block.truncate(max(0, length - size))

    return damage


def delete_store(stream: str) -> Callable[[Path], None]:
    """Remove the stream with all that it holds."""
    return lambda streams: shutil.rmtree(streams / stream)


async def kill_postgres(field: Field) -> None:
    """SIGKILL to the postmaster; its backends end when they notice."""
    pid = field.pager.pids()["postgres"]
    with field.down("postgres"):
        field.signal("postgres", signal.SIGKILL)

        async def serves() -> bool:
            return field.pager.pids().get("postgres", pid) != pid and await field.probe.ask("SELECT 1") is not None

        await field.until("PostgreSQL", serves)


async def crash_backends(field: Field) -> None:
    """SIGKILL to one backend: the postmaster ends all others and recovers from its log."""
    rows = await field.probe.ask(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'pager/incidents/%%/work'"
    )
    backend = psutil.Process(rows[0][0] if rows else psutil.Process(field.pager.pids()["postgres"]).children()[-1].pid)
    with field.down("postgres"):
        backend.kill()

        async def recovers() -> bool:
            # The probe's own session dies too: the first answer on a new one says that it is over.
            return not backend.is_running() and await field.probe.ask("SELECT 1") is not None

        await field.probe.close()
        await field.until("PostgreSQL", recovers)


async def kill_three(field: Field, seed: int) -> None:
    """Three different victims within one second."""
    chance = random.Random(seed)
    blows: list[Blow] = [partial(kill_service, service=service) for service in SERVICES]
    blows += [kill_nats, kill_postgres, kill_gateway]

    async def soon(blow: Blow, delay: float) -> None:
        await asyncio.sleep(delay)
        await blow(field)

    await asyncio.gather(*(soon(blow, chance.random()) for blow in chance.sample(blows, 3)))


OUTSIDERS = (
    Scenario("hostile senders", hostile_senders),
    Scenario("a key that repeats itself", chatty_key),
    Scenario("a vendor that fails for some phones", vendor_fails_for_some),
)
"""Nobody is killed: others do what they may."""


def full_programme(replicas: int, seed: int) -> list[Scenario]:
    """Every scenario; a bus or database is struck again only when it has had time to settle."""

    def kind(service: str, on_the_way: str, aside: str) -> str:
        return "" if replicas == 1 else on_the_way if service in PATH else aside

    kills, stops = {}, {}
    for s in SERVICES:
        killed, stopped = kind(s, SERVICE_KILLED, ASIDE_KILLED), kind(s, SERVICE_STOPPED, ASIDE_STOPPED)
        kills[s] = Scenario(f"{s}: SIGKILL", partial(kill_service, service=s), killed)
        stops[s] = Scenario(f"{s}: SIGSTOP, SIGCONT", partial(stop_service, service=s), stopped)
    nats = Scenario("NATS: SIGKILL", kill_nats, NATS_KILLED)
    cuts = [
        Scenario(f"NATS: SIGKILL, {s.upper()} loses its tail", partial(kill_nats, damage=cut_tail(s.upper(), size)))
        for s, size in zip(PATH, (300, 5_000, 20_000), strict=True)
    ]
    lost = PATH[seed % 3].upper()
    deleted = Scenario(f"NATS: SIGKILL, {lost} deleted", partial(kill_nats, damage=delete_store(lost)))
    # Held against a limit: once more, since a single figure on a busy machine says little.
    again = [stops[service] for service in PATH] if replicas > 1 else []
    return [
        nats, kills["incidents"], kills["escalation"], kills["notifier"],
        Scenario("PostgreSQL: SIGKILL", kill_postgres), stops["incidents"],
        cuts[0], kills["auth"], kills["oncall"], stops["escalation"],
        nats, Scenario("gateway: SIGKILL", kill_gateway), stops["notifier"],
        Scenario("PostgreSQL: a backend SIGKILLed", crash_backends), cuts[1], stops["auth"], kills["incidents"],
        stops["oncall"], cuts[2], kills["escalation"], kills["notifier"], deleted, *OUTSIDERS, *again,
        *(Scenario(f"three random kills (seed {seed + i})", partial(kill_three, seed=seed + i)) for i in range(2)),
    ]  # fmt: skip


def short_programme() -> list[Scenario]:
    """One SIGKILL for each part of the path, and what outsiders do."""
    services = [Scenario(f"{s}: SIGKILL", partial(kill_service, service=s)) for s in PATH]
    return [
        *services,
        *OUTSIDERS,
        Scenario("NATS: SIGKILL", kill_nats),
        Scenario("PostgreSQL: SIGKILL", kill_postgres),
    ]
