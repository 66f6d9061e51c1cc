"""`pager demo`: an alert becomes a page, escalates and is acknowledged, before your eyes."""

import asyncio
import os
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cli.commands.seed import SeedResult, seed_stack
from cli.console.failure import Failure
from cli.console.output import console, json_line, table
from cli.console.report import silent_report
from cli.demo.seeding import PEOPLE
from cli.demo.story import Story, Told
from cli.demo.view import DemoView, JsonView, PlainView, RichView
from cli.embedded.home import Home
from cli.reach.api import Api
from cli.settings import Settings
from cli.stack.interrupt import run_until_signal
from cli.stack.stack import Stack
from libs.contracts.defaults import (
    DEFAULT_INTEGRATION_ID,
    DEFAULT_INTEGRATION_NAME,
    DEFAULT_POLICY_ID,
    DEFAULT_POLICY_NAME,
    DEFAULT_SCHEDULE_ID,
    DEFAULT_SCHEDULE_NAME,
)

MINUTES: Final = 0.1
_FIRST_NAMES: Final = {
    str(DEFAULT_SCHEDULE_ID): DEFAULT_SCHEDULE_NAME,
    str(DEFAULT_POLICY_ID): DEFAULT_POLICY_NAME,
    str(DEFAULT_INTEGRATION_ID): f"integration {DEFAULT_INTEGRATION_NAME}",
}
"""What the first start makes, by id."""


@dataclass(frozen=True)
class Ended:
    """What is shown after the story."""

    timeline: list[dict[str, Any]]
    explanation: list[dict[str, Any]]
    told: Told
    names: dict[str, str]


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
        view.begins("making a team: Ana with an iPhone is on call, Bo with an Android comes after her")
        seeded = await seed_stack(stack.settings, stack.secrets, stack.url, stack.nats_url_of("operator"), MINUTES)
        view.happened("the team is ready: Ana for 6 seconds, then Bo")
        simulator = stack.simulator
        if simulator is None:
            raise Failure("the demo needs the push simulators")
        async with Api(stack.url) as api:
            told = await Story(api, seeded, simulator.url, stack.nats_url, view).tell()
            ended = await _look_back(api, seeded, told)
        view.begins("stopping everything")
    view.happened("everything is stopped")
    return ended


async def _look_back(api: Api, seeded: SeedResult, told: Told) -> Ended:
    door = api.of(seeded.seeded.access_tokens[PEOPLE[0].email])
    path = f"/incidents/{told.incident_id}"
    timeline, explanation = await asyncio.gather(
        door.call("GET", f"{path}/timeline"), door.call("GET", f"{path}/explain")
    )
    names = {seeded.seeded.user_ids[person.email]: person.name for person in PEOPLE} | _FIRST_NAMES
    return Ended(timeline["entries"], explanation["people"], told, names)


def show(ended: Ended) -> None:
    """Timeline and explanation, as tables."""
    out = console()
    first = datetime.fromisoformat(ended.timeline[0]["at"]) if ended.timeline else None
    rows = [
        (
            f"{(datetime.fromisoformat(entry['at']) - first).total_seconds():+.3f} s" if first else "",
            entry["type"].split(".")[2] if entry["type"].count(".") == 3 else entry["type"],
            ended.names.get(entry["actor"]["id"], entry["actor"]["id"]),
            _named(entry["summary"], ended.names),
        )
        for entry in ended.timeline
    ]
    out.print(table("Timeline", ("when", "what", "by", "summary"), rows))
    people = [
        (
            ended.names.get(person["userId"], person["userId"]),
            person["outcome"],
            _named(person["reason"], ended.names),
            "\n".join(_named(link["summary"], ended.names) for link in person["chain"]),
        )
        for person in ended.explanation
    ]
    out.print(table("Who was paged, and why", ("person", "outcome", "reason", "because"), people))


def _named(text: str, names: dict[str, str]) -> str:
    for user_id, name in names.items():
        text = text.replace(user_id, name)
    return text


def demo(home: Home | None, *, as_json: bool) -> None:
    """Play it. Raises `Failure` or `StartError` with the reason when a step fails or takes too long."""
    out = console()
    view: DemoView = JsonView() if as_json else RichView(out) if out.is_terminal else PlainView()
    ended: list[Ended] = []
    with Home.temporary() if home is None else nullcontext(home) as place, view:

        async def run() -> None:
            ended.append(await play(demo_settings(place), view))

        if run_until_signal(run()):
            raise Failure("stopped", 130)
    if as_json:
        json_line({"timeline": ended[0].timeline, "explanation": ended[0].explanation, "steps": vars(ended[0].told)})
    else:
        show(ended[0])
