"""The gateway's composition root: the bus, the application and the HTTP server."""

from __future__ import annotations

import asyncio
import resource
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import structlog
import uvicorn
import uvloop

from libs.chassis.bus.connection import CONNECTION_OPTIONS, Bus
from libs.chassis.bus.wire import Wire
from libs.chassis.clock import Clock, SystemClock
from libs.chassis.collector import rest_the_collector
from libs.chassis.measure import logs, telemetry
from libs.chassis.monitor.listening import Listening
from libs.chassis.monitor.port import Monitor, Readiness
from libs.chassis.requests.sessions import EndedSessions
from libs.chassis.settings import SettingsError, load_or_exit
from libs.chassis.stopping import Stop, end_soon, stoppable
from libs.contracts.web_sessions import Present
from services.gateway import built
from services.gateway.access import AccessLog
from services.gateway.addresses import Addresses
from services.gateway.app import build
from services.gateway.brake import Brake
from services.gateway.bulk import Bulks
from services.gateway.callers import Callers
from services.gateway.client_reports import Reports
from services.gateway.envelope import Problem
from services.gateway.exporting import Exports
from services.gateway.features import Features
from services.gateway.forwarding import Forwarder
from services.gateway.front import Front
from services.gateway.gossip import Gossip
from services.gateway.health import HealthCheck
from services.gateway.heard import Heard
from services.gateway.limits import Limits
from services.gateway.machines import Machines
from services.gateway.maintenance import Maintenance
from services.gateway.metrics import GatewayMetrics
from services.gateway.origins import Origins
from services.gateway.patience import PatientProtocol
from services.gateway.places import Places
from services.gateway.presence import Presences
from services.gateway.settings import Settings
from services.gateway.streaming.frames import LIMIT as FRAME_LIMIT
from services.gateway.streaming.identity import Tokens
from services.gateway.streaming.protocol import PING, BoundedProtocol
from services.gateway.streaming.streams import Streams

_log = structlog.get_logger()

_FILES = 16_384
_DRAIN = 8
"""Seconds that a stop waits for requests under way; a command takes at most five."""
_LEAVE = 20.0
"""Seconds for all of a stop after the waiting for no new request: half of what streams leave is more than `_DRAIN`."""


class Gateway:
    """One replica of the gateway: `async with Gateway(settings) as gateway: … gateway.url`."""

    def __init__(self, settings: Settings, clock: Clock | None = None, app: Path = built.FOLDER) -> None:
        """`app`: where the phone app is that browsers get."""
        self.settings = settings
        self._built = built.Built.read(app)
        self.clock: Clock = clock or SystemClock()
        self.url = ""
        """Where it listens, e.g. `http://127.0.0.1:3000`; known after `start`."""
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect to the bus and listen; returns when requests are answered.

        Raises:
            SettingsError: the port is taken, or the host is not one of this machine.
        """
        self._listening = Listening(self.settings.host, self.settings.port, variable="PAGER_PORT")
        try:
            telemetry.start("gateway")
            self.bus = Bus(await Wire.to(**self._connection()))
            await self.bus.start()
        except BaseException:
            self._listening.close()
            raise
        self._forwarder = Forwarder(self.bus, self.settings.address)
        health = HealthCheck(self.bus, self.clock, self.settings.push)
        metrics = GatewayMetrics(self.bus, self.settings)
        sessions = EndedSessions("gateway", self.bus, self.clock)
        callers = Callers(self._forwarder, self.clock, sessions, metrics.forged)
        access = AccessLog(self._forwarder, self.clock, self.settings.enable_audit_logging, metrics.unkept)
        presences = Presences(partial(self._tell, self._forwarder), self.clock)
        limits = Limits(self.clock, self.settings.enable_rate_limiting)
        self.gossip = Gossip(self.bus, limits)
        machines = Machines(self._forwarder, callers, self.clock, metrics, limits)
        features = Features(self.settings.features)
        tokens = Tokens(callers, machines, limits, self.clock, features)
        streams = Streams(self.bus, self._forwarder, tokens, metrics.streams)
        maintenance = Maintenance(self.clock, self.settings.enable_maintenance_mode)
        heard = Heard(self._forwarder, [maintenance.hear, features.hear])
        self._following = (
            asyncio.create_task(stoppable(sessions.run), name="gateway sessions"),
            asyncio.create_task(stoppable(presences.run), name="gateway presences"),
            asyncio.create_task(stoppable(callers.follow), name="gateway auth's keys"),
            asyncio.create_task(stoppable(access.run), name="gateway access log"),
            asyncio.create_task(stoppable(self.gossip.run), name="gateway limits"),
            asyncio.create_task(stoppable(streams.run), name="gateway streams"),
            asyncio.create_task(stoppable(machines.run), name="gateway API keys"),
            asyncio.create_task(stoppable(heard.run), name="gateway doors"),
        )
        self.front = Front(
            self._forwarder,
            callers,
            machines,
            health,
            metrics,
            Brake(self.clock),
            Addresses(),
            Places(),
            access,
            Exports(),
            Origins.of(self.settings),
            presences,
            limits,
            streams,
            heard,
            maintenance,
            Bulks(),
            features,
            Reports(metrics.reports, self.clock),
        )
        self.monitor = Monitor(self.settings, self._ready, metrics.own)
        await self.monitor.start()
        await self._listening.serve(self._config(), "gateway http")
        self.url = self._listening.url

    async def _ready(self) -> Readiness:
        found = await self.front.metrics.ready()
        if not self.front.health.leaving:
            return found
        return found.model_copy(update={"status": "unavailable", "reasons": (*found.reasons, "it is about to stop")})

    async def _tell(self, forwarder: Forwarder, present: Present) -> None:
        """Raises Problem: auth has not heard it."""
        reply = await forwarder.command("auth", "present", present, {}, repeatable=True)
        if reply.error is not None:
            raise Problem.of(reply.error)

    async def stop(self) -> None:
        """Say that nothing new should come, answer what is under way, then leave."""
        self._stopping = True
        self.front.health.leaving = True
        await asyncio.sleep(self.settings.drain_seconds)
        stop = Stop("gateway", _LEAVE)
        await stop.step("streams", self.front.streams.drain)
        await stop.step("requests", self._listening.stop)
        await stop.step("monitor", self.monitor.stop)
        await stop.step("commands", self._forwarder.drain)
        await stop.tasks("tasks", self._following)
        await stop.step("access log", self.front.access.tell)
        await stop.step("connection", self.bus.client.close)
        telemetry.stop("gateway")

    async def finished(self) -> None:
        """Returns, or raises, only if the gateway can no longer run."""
        running = (self._listening.task, *self._following)
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        await ended.pop()

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            build(self.front, self.settings, self._built),
            http=PatientProtocol,
            ws=BoundedProtocol,
            ws_max_size=FRAME_LIMIT,
            ws_ping_interval=PING,
            ws_ping_timeout=PING,
            # One text goes to hundreds: each would compress it for itself.
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            # Off by default: uvicorn would believe X-Forwarded-For of anybody on this machine.
            proxy_headers=bool(self.settings.proxies),
            forwarded_allow_ips=list(self.settings.proxies),
            timeout_keep_alive=self.settings.idle_seconds,
            timeout_graceful_shutdown=_DRAIN,
        )

    def _connection(self) -> dict[str, Any]:
        url = self.settings.nats_url.get_secret_value()

        async def interrupted() -> None:
            if not self._stopping:
                _log.warning("bus away", service="gateway")
            await self.bus.interrupted()

        async def back() -> None:
            _log.info("bus back", service="gateway")
            await self.bus.restored()

        async def ignored(_error: Exception) -> None:
            # The client reports every attempt to reconnect; "bus away" has been said.
            return

        return (
            CONNECTION_OPTIONS
            | self.settings.nats_tls()
            | {
                "servers": [url],
                "name": f"pager-gateway-{self.settings.instance}",
                # Answers come to an inbox of our own (promise 13).
                "inbox_prefix": f"_INBOX_{urlsplit(url).username or 'gateway'}",
                "disconnected_cb": interrupted,
                "reconnected_cb": back,
                "error_cb": ignored,
            }
        )


def _open_many_files() -> None:
    """A stream is an open file, of which most systems give a process 1024 unless it asks for more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


async def _run(gateway: Gateway) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await gateway.start()
    rest_the_collector()
    _log.info("serving", service="gateway", url=gateway.url)
    waiting = asyncio.create_task(stop.wait())
    finished = asyncio.create_task(gateway.finished())
    await asyncio.wait((waiting, finished), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    end_soon(gateway.settings.drain_seconds + _LEAVE + 2)
    await gateway.stop()
    if finished.done():
        finished.result()


def main() -> None:
    """The gateway's process."""
    settings = load_or_exit(Settings)
    logs.configure("gateway", settings.instance, settings.log_level, settings.log_format)
    _open_many_files()
    try:
        uvloop.run(_run(Gateway(settings)))
    except SettingsError as error:
        sys.stderr.write(f"pager: {error}\n")
        sys.exit(2)
    except Exception:  # noqa: BLE001 - the supervisor restarts us; the log says why
        _log.exception("service failed", service="gateway")
        sys.exit(1)


if __name__ == "__main__":
    main()
