"""A service as a process: its signals, its logs, and the ways in which it ends."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog
import uvloop

from libs.chassis.collector import rest_the_collector
from libs.chassis.measure import logs
from libs.chassis.service import Service
from libs.chassis.settings import SettingsError
from libs.chassis.stopping import end_soon
from libs.chassis.surroundings import forget_libpq

_log = structlog.get_logger()


def run(service: Service) -> None:
    """A service's process: until SIGTERM or SIGINT, which hand over at once."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        try:
            await service.start()
        except SettingsError as error:
            await service.broker.stop()
            sys.stderr.write(f"pager: {error}\n")  # the last line says why (docs/runbooks/processes.md)
            raise SystemExit(2) from None
        rest_the_collector()
        _log.info("serving", service=service.name)
        waiting = asyncio.create_task(stop.wait())
        finished = asyncio.create_task(service.finished())
        await asyncio.wait((waiting, finished), return_when=asyncio.FIRST_COMPLETED)
        failure = finished.exception() if finished.done() else None
        waiting.cancel()
        end_soon()
        await service.stop()
        if failure is not None:
            raise failure

    forget_libpq()
    logs.configure(service.name, service.settings.instance, service.settings.log_level, service.settings.log_format)
    try:
        uvloop.run(main())
    except Exception:  # noqa: BLE001 - the supervisor restarts us; the log says why
        _log.exception("service failed", service=service.name)
        sys.exit(1)
