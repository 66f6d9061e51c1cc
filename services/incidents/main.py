"""The composition root of incidents: `python -m services.incidents.main`."""

from __future__ import annotations

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.process import run
from libs.chassis.service import Parts, Runtime, Service
from libs.chassis.settings import load_or_exit
from libs.chassis.store.pruning import Retention
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS, ALERTS_KEPT
from services.incidents.api import api
from services.incidents.application import make_first_integrations
from services.incidents.consumers import consumers
from services.incidents.intake import AlertIntake, replay
from services.incidents.measures import measures, unanswered
from services.incidents.projections import SCHEMA, project, seen_alerts
from services.incidents.settings import Settings

REMEMBERED = Retention(seen_alerts, "seen_at", 2 * ALERTS_KEPT)
"""A stream that was recreated or shortened is read again from its start: an alert is seen again as long as ALERTS keeps
it, 7 days. As long again is for senders that repeat what they could not deliver when they come back."""


def build(runtime: Runtime) -> Parts:
    async def prepare() -> None:
        await runtime.rpc.transact(make_first_integrations)

    counts = measures()
    intakes = [AlertIntake(lane, runtime.work, runtime.bus, runtime.parked.set, counts.taken) for lane in Lane]
    return Parts(
        requests=api(),
        consumers=consumers(),
        leading=[intake.run for intake in intakes],
        replays={ALERTS: replay},
        prepare=prepare,
        pressing=lambda: any(intake.pressing for intake in intakes),
        forget=(REMEMBERED,),
        observe=counts.observe,
        gauges=unanswered,
        lags=lambda: {(ALERTS, intake.lane): intake.lag for intake in intakes},
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    return Service(SCHEMA, settings, clock or SystemClock(), project, build)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
