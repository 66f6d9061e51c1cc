"""The composition root of escalation."""

from __future__ import annotations

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.consume.arrival import Arrival
from libs.chassis.monitor.watched import Watched
from libs.chassis.parts import Answers, Beginning, Parts, Runtime, persons_keys
from libs.chassis.process import run
from libs.chassis.service import Service
from libs.chassis.settings import load_or_exit
from libs.chassis.store.person_keys import StoredKeys
from services.escalation.api import api
from services.escalation.application import fire, make_first_policies
from services.escalation.consumers import consumers
from services.escalation.measures import delay, measures
from services.escalation.projections import people, project
from services.escalation.reachability import Reachability
from services.escalation.settings import Settings


def build(runtime: Runtime) -> Parts:
    return Parts(
        Answers(api(Arrival(runtime.rpc, runtime.bus))),
        reads=runtime.follow(consumers()),
        fire=fire,
        engines=(
            persons_keys(runtime, people.c.id),
            Beginning(runtime.rpc, make_first_policies),
            Reachability(runtime.rpc, runtime.bus),
        ),
        watched=Watched(measures().observe, delay),
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    keyring = StoredKeys("escalation", settings)
    return Service("escalation", settings, clock or SystemClock(), project, build, keyring)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
