"""The composition root of incidents: `python -m services.incidents.main`."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.consume.arrival import Arrival
from libs.chassis.monitor.probe import Probe
from libs.chassis.monitor.room import Rooms
from libs.chassis.monitor.watched import Watched
from libs.chassis.parts import Answers, Beginning, Parts, Runtime, persons_keys
from libs.chassis.process import run
from libs.chassis.service import Service
from libs.chassis.settings import load_or_exit
from libs.chassis.store.person_keys import StoredKeys
from libs.chassis.store.pruning import Retention
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS, ALERTS_KEPT, ALERTS_PROBE
from services.incidents.alerts.answers import Settling
from services.incidents.alerts.intake import AlertIntake
from services.incidents.alerts.outcomes import late_outcomes
from services.incidents.alerts.purge import AlertsPurge, LaneReader
from services.incidents.alerts.stream import AlertStream
from services.incidents.alerts.taken import taken_alerts
from services.incidents.api import api
from services.incidents.consumers import consumers
from services.incidents.housekeeping import Housekeeping
from services.incidents.integrations import make_first_integrations
from services.incidents.measures import gauges, measures
from services.incidents.projections import SCHEMA, seen_alerts
from services.incidents.references import References, people
from services.incidents.searchable import projecting
from services.incidents.settings import Settings
from services.incidents.sights import Sights
from services.incidents.timing import fire

REMEMBERED = Retention(seen_alerts, "seen_at", 2 * ALERTS_KEPT)
"""A stream that was recreated or shortened is read again from its start: an alert is seen again as long as ALERTS keeps
it, 7 days. As long again is for senders that repeat what they could not deliver when they come back."""
TAKEN = Retention(taken_alerts, "taken_at", ALERTS_KEPT + timedelta(days=1))
"""What ALERTS holds no more cannot come again; a day more, for clocks that differ."""
TOLD = Retention(late_outcomes, "at", ALERTS_KEPT + timedelta(days=1))
"""As long as what was taken says that it waited."""


def build(runtime: Runtime) -> Parts:
    settings, counts = runtime.settings, measures()
    assert isinstance(settings, Settings)  # noqa: S101 - narrows for the type checker
    arrival = Arrival(runtime.rpc, runtime.bus)
    stream = AlertStream(runtime.work, runtime.bus, runtime.alarms.tell)
    settling = Settling(runtime.work, stream, runtime.parked.set)
    alerts = [
        AlertIntake(
            lane, runtime.work, runtime.bus, stream, runtime.parked.set, counts.taken, settling.kept, settling.any_kept
        )
        for lane in Lane
    ]
    # Whoever else comes to read ALERTS is registered here: what it has not taken is not purged.
    readers = [LaneReader(lane, runtime.work, runtime.bus) for lane in Lane]
    purge = AlertsPurge(runtime.bus, runtime.clock, readers, settings.alerts_floor)
    house = Housekeeping(runtime.bus, runtime.clock, purge, Rooms(runtime.bus, settings.folders))
    return Parts(
        Answers(
            api(
                References(arrival),
                Sights(arrival),
                settings.reopen_within,
                settings.quiet_for,
                settings.nights,
                settings.search_language,
            )
        ),
        fire=partial(fire, quiet_for=settings.quiet_for),
        reads=(*alerts, *runtime.follow(consumers())),
        engines=(persons_keys(runtime, people.c.id), Beginning(runtime.rpc, make_first_integrations), settling, house),
        watched=Watched(
            counts.observe,
            lambda work: (*gauges(work), *house.gauges()),
            Probe(runtime.bus, ALERTS, ALERTS_PROBE),
        ),
        forgets=(REMEMBERED, TAKEN, TOLD),
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    keyring = StoredKeys(SCHEMA, settings)
    return Service(SCHEMA, settings, clock or SystemClock(), projecting(settings.search_language), build, keyring)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
