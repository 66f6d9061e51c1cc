"""People who acknowledge: some at once, racing the page, some only after it, racing the next level."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from tests.chaos.phones import Push
from tests.chaos.probe import Probe
from tests.chaos.roster import Roster

_EVENTS = (
    "SELECT notification_id, state FROM incidents.stored_events"
    " WHERE notification_id > %s AND topic = 'pager.incidents.IncidentCreated.v1' ORDER BY notification_id LIMIT 500"
)
_ASK = aiohttp.ClientTimeout(total=8)
_UNAVAILABLE = (502, 503, 504)


def acknowledges_at_once(number: int) -> bool:
    """One alert in ten: as soon as the incident exists."""
    return number % 10 == 3


def acknowledges_later(number: int) -> bool:
    """One alert in ten: some time after the first page."""
    return number % 10 == 6


@dataclass
class Responders:
    """Acknowledge over HTTP; a command that was not answered is repeated, the same, until it is."""

    gateway: str
    roster: Roster
    tag: str
    probe: Probe
    on_acknowledged: Callable[[int], None] = lambda number: None
    wanted: set[int] = field(default_factory=set)
    answered: set[int] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    """What no repeat can cure."""
    _after: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.tag)

    async def run(self) -> None:
        """Look for new incidents for ever. PostgreSQL knows them before the bus does."""
        async with aiohttp.ClientSession(timeout=_ASK) as self._http:
            try:
                while True:
                    for position, raw in await self.probe.ask(_EVENTS, self._after) or ():
                        self._after = position
                        self._created(json.loads(bytes(raw))["data"])
                    await asyncio.sleep(0.03)
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def paged(self, push: Push) -> None:
        """A first page came."""
        if acknowledges_later(push.number):
            longest = self.roster.route(push.number).minutes * 60
            self._start(push.number, push.incident_id, self._random.uniform(0, min(1.3 * longest, 20)))

    def _created(self, incident: dict[str, object]) -> None:
        about = incident["metadata"]
        if isinstance(about, dict) and about.get("chaos") == self.tag and acknowledges_at_once(about["number"]):
            self._start(about["number"], str(incident["incidentId"]), 0)

    def _start(self, number: int, incident_id: str, delay: float) -> None:
        if number in self.wanted:
            return
        self.wanted.add(number)
        task = asyncio.get_running_loop().create_task(self._acknowledge(number, incident_id, delay))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, number: int, incident_id: str, delay: float) -> None:
        await asyncio.sleep(delay)
        person = self.roster.route(number).levels[0]
        url = f"{self.gateway}/api/v1/incidents/{incident_id}/acknowledge"
        headers = {"Authorization": f"Bearer {person.access}", "Idempotency-Key": f"{self.tag}-{number}"}
        while True:
            try:
                async with self._http.post(url, json={"notes": "On it."}, headers=headers) as answer:
                    if answer.status == 200:
                        break
                    if answer.status not in _UNAVAILABLE:
                        self.refused.append(f"alert {number}: {answer.status} {await answer.text()}")
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass  # the gateway is away, or was killed under the request
            await asyncio.sleep(0.2)
        self.answered.add(number)
        self.on_acknowledged(number)
