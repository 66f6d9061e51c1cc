"""`python -m bench.pipeline`: alerts into NATS, pushes out of the simulators, and what lies between, as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import secrets
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import uvloop
from nats.aio.client import Client

from bench import reference
from bench.load import Sender, alert_body
from bench.measure import Pushes, hops, percentiles
from bench.stack import RunningPager, cpu_seconds, pss_mib, running_pager

_SATURATE = 20_000
_ROUNDS = 5
_DRAIN_SECONDS = 240.0


@dataclass
class Run:
    """One measurement of a running Pager."""

    pager: RunningPager
    tag: str

    async def at_rate(self, rate: float, seconds: float) -> dict[str, Any]:
        pushes, sender = await self._doors()
        since = datetime.now(UTC) - timedelta(seconds=1)
        before, begun = cpu_seconds(self.pager.pids()), time.perf_counter()
        await sender.at_rate(rate, seconds)
        length = time.perf_counter() - begun
        used = cpu_seconds(self.pager.pids())
        tail = await pushes.wait_for(len(sender.sent_at), 30.0)
        operator = await self.pager.connect("operator")
        found = await hops(operator, since, sender.sent_at, pushes.received, self.tag)
        await operator.close()
        await sender.client.close()
        return {
            "accepted": sender.accepted,
            "refused": sender.refused,
            **found,
            "drainTailSeconds": round(tail, 2),
            "cpuPercentOfOneCore": {
                name: round(100 * (used[name] - before[name]) / length, 1) for name in used if name in before
            },
            "pssMiB": pss_mib(self.pager.pids()),
        }

    async def saturated(self, count: int) -> dict[str, Any]:
        """Incidents sleeps while the alerts are accepted; then everything drains at once."""
        pushes, sender = await self._doors()
        before = cpu_seconds(self.pager.pids())
        sleeping = [pid for name, pid in self.pager.pids().items() if name.startswith("incidents")]
        for pid in sleeping:
            os.kill(pid, signal.SIGSTOP)
        try:
            await sender.all_at_once(count)
        finally:
            for pid in sleeping:
                os.kill(pid, signal.SIGCONT)
        await pushes.wait_for(count, _DRAIN_SECONDS)
        used = cpu_seconds(self.pager.pids())
        begun = time.perf_counter()
        await self._at_rest()
        await sender.client.close()
        return {
            "accepted": sender.accepted,
            **drained(pushes),
            "booksCompleteAfterSeconds": round(time.perf_counter() - begun, 1),
            "cpuMicrosecondsPerAlert": {n: round(1e6 * (used[n] - before[n]) / count) for n in used if n in before},
        }

    async def _at_rest(self) -> None:
        """Timelines are written last in a storm; the reference must not run beside that."""
        operator = await self.pager.connect("operator")
        for service in ("incidents", "escalation", "notifier"):
            while any((await _health(operator, service))["lag"].values()):
                await asyncio.sleep(0.1)
        await operator.close()

    async def _doors(self) -> tuple[Pushes, Sender]:
        pushes = Pushes(self.pager.simulator)
        await pushes.skip()
        body = alert_body(self.pager.routing_keys, self.tag)
        sender = Sender(await self.pager.connect(), "pager.alerts.bench.critical", body)
        await sender.start()
        return pushes, sender


async def _health(operator: Client, service: str) -> dict[str, Any]:
    answer = await operator.request(f"pager.rpc.{service}.health", b"{}", timeout=5)
    return dict(json.loads(answer.data)["data"])


def drained(pushes: Pushes) -> dict[str, Any]:
    """The rate between the first and the last push."""
    times = sorted(pushes.received.values())
    seconds = times[-1] - times[0] if len(times) > 1 else 0.0
    return {
        "pushed": len(times),
        "seconds": round(seconds, 2),
        "perSecond": round(len(times) / seconds if seconds else 0),
    }


@dataclass
class Bare:
    """The same measurement of the reference."""

    pager: RunningPager
    tag: str

    async def at_rate(self, rate: float, seconds: float) -> dict[str, Any]:
        async with reference.running_reference(self.pager) as bare:
            pushes, sender = await self._doors(bare)
            processes = await bare.start(_tokens())
            await _until_warm(sender, pushes)
            begun = len(pushes.received)
            await sender.at_rate(rate, seconds)
            await pushes.wait_for(begun + len(sender.sent_at), 30.0)
            # The reference keeps no ids: alerts and pushes are matched in their order, which it preserves.
            times = sorted(pushes.received.values())[begun:]
            waited = [received - sent for sent, received in zip(sender.sent_at.values(), times, strict=False)]
            await _end(processes)
        return {"accepted": sender.accepted, "pushed": len(times), "publishToPushMs": percentiles(waited)}

    async def saturated(self, count: int) -> dict[str, Any]:
        """New processes, which have their backlog when they start."""
        async with reference.running_reference(self.pager) as bare:
            pushes, sender = await self._doors(bare)
            await sender.all_at_once(count)
            processes = await bare.start(_tokens())
            await pushes.wait_for(count, _DRAIN_SECONDS)
            used = cpu_seconds({hop: process.pid for hop, process in zip(reference.HOPS, processes, strict=True)})
            await _end(processes)
        return {
            "accepted": sender.accepted,
            **drained(pushes),
            "cpuMicrosecondsPerAlert": {hop: round(1e6 * seconds / count) for hop, seconds in used.items()},
        }

    async def _doors(self, bare: reference.Reference) -> tuple[Pushes, Sender]:
        pushes = Pushes(self.pager.simulator)
        await pushes.skip()
        sender = Sender(bare.client, reference.subject("BENCHALERTS"), alert_body(("none",), self.tag))
        await sender.start()
        return pushes, sender


def _tokens() -> dict[str, str]:
    return {"apns": secrets.token_hex(32), "fcm": f"fcm-reference-{secrets.token_hex(24)}"}


async def _until_warm(sender: Sender, pushes: Pushes) -> None:
    """Two pushes have come through: the processes have imported what they need and are connected."""
    await sender.all_at_once(2)
    await pushes.wait_for(2, 30.0)
    sender.sent_at.clear()
    sender.accepted = 0


async def _end(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        process.kill()
        await process.wait()


async def in_turns(pager: RunningPager, tag: str, count: int) -> dict[str, Any]:
    """The pair with the middle ratio: a machine's pace changes from one minute to the next, and a pair shares it."""
    pairs: list[dict[str, Any]] = []
    for turn in range(_ROUNDS):
        ours = await Run(pager, f"{tag}-{turn}").saturated(count)
        bare = await Bare(pager, f"{tag}-{turn}").saturated(count)
        ratio = round(ours["perSecond"] / max(1, bare["perSecond"]), 3)
        pairs.append({"pager": ours, "reference": bare, "ratio": ratio})
    rates = [{"pager": p["pager"]["perSecond"], "reference": p["reference"]["perSecond"]} for p in pairs]
    middle = sorted(pairs, key=lambda pair: pair["ratio"])[_ROUNDS // 2]
    return middle | {"roundsPerSecond": rates}


async def idle(pager: RunningPager, seconds: float) -> dict[str, Any]:
    """Mean of all processes, the supervisor included."""
    pids = pager.pids() | {"pager": pager.process.pid}
    await asyncio.sleep(5)
    before, begun = cpu_seconds(pids), time.perf_counter()
    await asyncio.sleep(seconds)
    used = cpu_seconds(pids)
    length = time.perf_counter() - begun
    cpu = {name: round(100 * (used[name] - before[name]) / length, 2) for name in used}
    pss = pss_mib(pids)
    return {
        "seconds": round(length, 1),
        "cpuPercentOfOneCore": cpu,
        "cpuTotal": round(sum(cpu.values()), 2),
        "pssMiB": pss,
        "pssTotal": round(sum(pss.values()), 1),
    }


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    tag = secrets.token_hex(4)
    result: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(),
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "replicas": arguments.replicas,
    }
    async with running_pager(arguments.replicas, simulators=not arguments.idle) as pager:
        if arguments.idle:
            result["idle"] = await idle(pager, arguments.idle)
            return result
        await _warm_up(pager)
        if arguments.saturate:
            result |= await in_turns(pager, tag, arguments.count)
        else:
            result |= {"rate": arguments.rate, "seconds": arguments.seconds}
            result["pager"] = await Run(pager, tag).at_rate(arguments.rate, arguments.seconds)
            result["reference"] = await Bare(pager, tag).at_rate(arguments.rate, min(arguments.seconds, 20))
    return result


async def _warm_up(pager: RunningPager) -> None:
    """A few alerts: connections are made, statements are prepared."""
    await Run(pager, "warm-up").at_rate(20, 2)
    async with aiohttp.ClientSession() as http:
        await (await http.get(f"{pager.run['gateway']}/api/health")).read()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pipeline", description=__doc__)
    parser.add_argument("--rate", type=float, default=20, help="alerts a second")
    parser.add_argument("--seconds", type=float, default=100)
    parser.add_argument("--replicas", type=int, default=1, help="processes of each service")
    parser.add_argument("--saturate", action="store_true", help="drain a backlog, here and in the reference")
    parser.add_argument("--count", type=int, default=_SATURATE, help="alerts of the backlog")
    parser.add_argument("--idle", type=float, default=0, metavar="SECONDS", help="only look at an idle Pager")
    result = uvloop.run(run(parser.parse_args()))
    json.dump(result, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
