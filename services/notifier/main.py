"""The notifier's composition root: `python -m services.notifier.main`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.consume.alarm import raise_alarm
from libs.chassis.monitor.watched import Watched
from libs.chassis.parts import Answers, Engine, Parts, Runtime, persons_keys
from libs.chassis.process import run
from libs.chassis.service import Service
from libs.chassis.settings import SettingsError, load_or_exit
from libs.chassis.store.changes import Row
from libs.chassis.store.person_keys import StoredKeys
from libs.contracts.health import PUSH, Effect, Trouble
from libs.contracts.notifier import MethodKind
from services.notifier.api import api
from services.notifier.consumers import consumers
from services.notifier.freshness import Freshness
from services.notifier.measures import backlog, measure_clients, measures
from services.notifier.outbox import StoredOutbox
from services.notifier.projections import DEVICES, project
from services.notifier.providers import Provider, PushClient, providers
from services.notifier.sender import Sender
from services.notifier.settings import Settings


@dataclass
class Sending(Engine):
    """The vendors' clients run in every replica; the active one sends."""

    settings: Settings
    clock: Clock
    vendors: Mapping[str, Provider]
    sender: Sender

    async def prepare(self) -> None:
        for client in self._clients():
            await client.start()

    async def lead(self) -> None:
        await self.sender.run()

    def committed(self, rows: Sequence[Row] | None) -> None:
        self.sender.committed(rows)

    def health(self) -> dict[str, Any]:
        """What health says of push; `breakers` is meaningful in the active replica, which alone sends."""
        breakers = {
            name: str(vendor.state_at(self.clock.now())) for name, vendor in self.vendors.items() if vendor.client
        }
        return {"push": self.settings.push, "breakers": breakers}

    def troubles(self) -> Iterator[Trouble]:
        """Which vendor is away: one of two is a fault, all of them are silence."""
        now = self.clock.now()
        used = {name: vendor.trouble(now) for name, vendor in self.vendors.items() if vendor.client is not None}
        if not used:
            yield Trouble(culprit=PUSH, problem="has no vendor: no credentials are set", effect=Effect.WARNING)
        # A push service of browsers is not looked at before there is something to say: it is no proof of anything.
        looked_at = {name: trouble for name, trouble in used.items() if name != MethodKind.WEBPUSH} or used
        effect = Effect.SILENCE if all(looked_at.values()) else Effect.FAULT
        for name, trouble in used.items():
            if trouble is not None:
                yield Trouble(culprit=f"{PUSH} {name}", problem=trouble, effect=effect)

    async def close(self) -> None:
        for client in self._clients():
            await client.close()

    def _clients(self) -> Iterator[PushClient]:
        return (vendor.client for vendor in self.vendors.values() if vendor.client is not None)


def build(runtime: Runtime) -> Parts:
    settings = runtime.settings
    assert isinstance(settings, Settings)  # noqa: S101 - narrows for the type checker
    vendors = providers(settings, runtime.clock)
    measure_clients(vendors)
    keys = persons_keys(runtime, DEVICES.c.user_id)
    sender = Sender(
        outbox=StoredOutbox(runtime.work),
        clock=runtime.clock,
        providers=vendors,
        public_url=settings.public_url,
        freshness=Freshness(partial(runtime.read_to_end, "incidents"), runtime.clock),
        alarm=partial(raise_alarm, runtime.bus),
        unseal=keys.fetched.text,
    )
    return Parts(
        Answers(api(vendors["webpush"].key)),
        reads=runtime.follow(consumers(settings.pages_per_minute)),
        engines=(keys, Sending(settings, runtime.clock, vendors, sender)),
        watched=Watched(measures().observe, partial(backlog, vendors)),
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    """One replica of the notifier."""
    keyring = StoredKeys("notifier", settings)
    return Service("notifier", settings, clock or SystemClock(), project, build, keyring)


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
