"""The notifier's composition root: `python -m services.notifier.main`."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.consume.alarm import raise_alarm
from libs.chassis.process import run
from libs.chassis.service import Parts, Runtime, Service
from libs.chassis.settings import SettingsError, load_or_exit
from services.notifier.api import api
from services.notifier.consumers import consumers
from services.notifier.freshness import Freshness
from services.notifier.measures import backlog, measure_clients, measures
from services.notifier.outbox import StoredOutbox
from services.notifier.projections import project
from services.notifier.providers import Provider, providers
from services.notifier.sender import Sender
from services.notifier.settings import Settings


def build(runtime: Runtime) -> Parts:
    """What the notifier is made of."""
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101 - narrows for the type checker
    vendors = providers(settings, runtime.clock)
    measure_clients(vendors)
    sender = Sender(
        outbox=StoredOutbox(runtime.work),
        clock=runtime.clock,
        providers=vendors,
        public_url=settings.public_url,
        freshness=Freshness(partial(runtime.read_to_end, "incidents"), runtime.clock),
        alarm=partial(raise_alarm, runtime.bus),
    )

    async def start_clients() -> None:
        for vendor in vendors.values():
            if vendor.client is not None:
                await vendor.client.start()

    async def close_clients() -> None:
        for vendor in vendors.values():
            if vendor.client is not None:
                await vendor.client.close()

    return Parts(
        requests=api(),
        consumers=consumers(),
        leading=(sender.run,),
        on_commit=(sender.committed,),
        prepare=start_clients,
        closing=close_clients,
        health_extra=lambda: health_extra(settings, vendors),
        observe=measures().observe,
        gauges=partial(backlog, vendors),
    )


def health_extra(settings: Settings, vendors: dict[str, Provider]) -> dict[str, Any]:
    """What health says of push; `breakers` is meaningful in the active replica, which alone sends."""
    return {"push": settings.push, "breakers": {name: str(v.breaker.state) for name, v in vendors.items() if v.client}}


def service(settings: Settings, clock: Clock | None = None) -> Service:
    """One replica of the notifier."""
    return Service("notifier", settings, clock or SystemClock(), project, build)


def main() -> None:
    settings = load_or_exit(Settings)
    try:
        providers(settings, SystemClock())
    except SettingsError as error:
        sys.stderr.write(f"pager: {error}\n")
        raise SystemExit(2) from None
    run(service(settings))


if __name__ == "__main__":
    main()
