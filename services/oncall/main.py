"""The composition root of oncall."""

from __future__ import annotations

import asyncio

from libs.chassis.bus import BusAway
from libs.chassis.clock import Clock, SystemClock
from libs.chassis.owner import Owner
from libs.chassis.process import run
from libs.chassis.service import Parts, Runtime, Service
from libs.chassis.settings import load_or_exit
from libs.contracts.requests import PositionView
from services.oncall.api import api
from services.oncall.application import Arrival, extend_plans
from services.oncall.consumers import consumers
from services.oncall.projections import SCHEMA, project
from services.oncall.settings import Settings

_ASK = 0.5
"""Seconds that auth has to say where its log ends."""


def build(runtime: Runtime) -> Parts:
    loop = asyncio.get_running_loop()
    auth = Owner(runtime.bus, "auth")

    def ask() -> PositionView | None:
        # Called in a worker thread, where the bus's event loop must not be entered.
        answer = asyncio.run_coroutine_threadsafe(auth.position(timeout=_ASK), loop)
        try:
            return answer.result(2 * _ASK)
        except (BusAway, TimeoutError):
            return None

    return Parts(requests=api(Arrival(ask)), consumers=consumers(), fire=extend_plans)


def service(settings: Settings, clock: Clock | None = None) -> Service:
    return Service(SCHEMA, settings, clock or SystemClock(), project, build)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
