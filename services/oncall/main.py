"""The composition root of oncall."""

from __future__ import annotations

from libs.chassis.clock import Clock, SystemClock
from libs.chassis.consume.arrival import Arrival
from libs.chassis.parts import Answers, Parts, Runtime, persons_keys
from libs.chassis.process import run
from libs.chassis.service import Service
from libs.chassis.settings import load_or_exit
from libs.chassis.store.person_keys import StoredKeys
from services.oncall.api import api
from services.oncall.application import extend_plans
from services.oncall.consumers import consumers
from services.oncall.projections import SCHEMA, people, project
from services.oncall.settings import Settings


def build(runtime: Runtime) -> Parts:
    return Parts(
        Answers(api(Arrival(runtime.rpc, runtime.bus))),
        reads=runtime.follow(consumers()),
        fire=extend_plans,
        engines=(persons_keys(runtime, people.c.user_id),),
    )


def service(settings: Settings, clock: Clock | None = None) -> Service:
    keyring = StoredKeys(SCHEMA, settings)
    return Service(SCHEMA, settings, clock or SystemClock(), project, build, keyring)


def main() -> None:
    run(service(load_or_exit(Settings)))


if __name__ == "__main__":
    main()
