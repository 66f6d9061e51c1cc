"""Plays the demo: starts a stack of its own, seeds it, tells the story, looks back and stops."""

import asyncio
import os
from typing import Final

from cli.console.failure import Failure
from cli.console.report import silent_report
from cli.demo.ending import Ended
from cli.demo.seeding import PEOPLE
from cli.demo.story import Story, Told
from cli.demo.team import SeedResult, seed_stack
from cli.demo.view import DemoView
from cli.embedded.home import Home
from cli.reach.api import api_of
from cli.settings import Settings
from cli.stack.stack import Stack
from libs.contracts.defaults import (
    DEFAULT_INTEGRATION_ID,
    DEFAULT_INTEGRATION_NAME,
    DEFAULT_POLICY_ID,
    DEFAULT_POLICY_NAME,
    DEFAULT_SCHEDULE_ID,
    DEFAULT_SCHEDULE_NAME,
)
from pager_client import AsyncPager

MINUTES: Final = 0.1
_FIRST_NAMES: Final = {
    str(DEFAULT_SCHEDULE_ID): DEFAULT_SCHEDULE_NAME,
    str(DEFAULT_POLICY_ID): DEFAULT_POLICY_NAME,
    str(DEFAULT_INTEGRATION_ID): f"integration {DEFAULT_INTEGRATION_NAME}",
}
"""What the first start makes, by id."""


def demo_settings(home: Home) -> Settings:
    """Any free ports, everything embedded and simulated: what the environment says of a real installation is not for
    a demo, and must not be touched by it.
    """
    passed = {name: value for name, value in os.environ.items() if not name.startswith(("PAGER_", "JWT_"))}
    environment = passed | {"PAGER_HOME": str(home.path)}
    return Settings(home=home, environment=environment, port=0, simulator_port=0)


async def play(settings: Settings, view: DemoView) -> Ended:
    """Start a stack, tell the story, stop. Raises `Failure` or `StartError`."""
    view.begins("starting PostgreSQL, NATS, five services, the gateway and the push simulators")
    async with Stack(settings, silent_report) as stack:
        await stack.ready()
        view.happened("everything runs", url=stack.url)
        view.begins("making a team: Ana with an iPhone is on call, Bo with an Android, its manager, comes after her")
        seeded = await seed_stack(stack.settings, stack.secrets, stack.url, stack.nats_url_of("operator"), MINUTES)
        view.happened("the team is ready: Ana for 6 seconds, then its manager, Bo")
        simulator = stack.simulator
        if simulator is None:
            raise Failure("the demo needs the push simulators")
        async with api_of(stack.url) as api:
            told = await Story(api, seeded, simulator.url, stack.nats_url, view).tell()
            ended = await _look_back(api, seeded, told)
        view.begins("stopping everything")
    view.happened("everything is stopped")
    return ended


async def _look_back(api: AsyncPager, seeded: SeedResult, told: Told) -> Ended:
    door = api.with_token(seeded.seeded.access_tokens[PEOPLE[0].email])
    timeline, explanation = await asyncio.gather(
        door.get_timeline(told.incident_id), door.explain_incident(told.incident_id)
    )
    names = {seeded.seeded.user_ids[person.email]: person.name for person in PEOPLE}
    names |= _FIRST_NAMES | seeded.seeded.crew.names
    return Ended(timeline["entries"], explanation["people"], told, names)
