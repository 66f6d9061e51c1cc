"""What the demo does with a running stack: publish, watch the phones, acknowledge."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from httpx import AsyncClient, HTTPError

from cli.console.failure import Failure
from cli.demo.crew import NAME
from cli.demo.seeding import ANA, BO, Person
from cli.demo.team import SeedResult
from cli.demo.view import DemoView
from cli.reach import bus
from libs.contracts.model import Priority
from libs.contracts.subjects import alert_subject
from pager_client import AsyncPager
from pager_client.types import IncidentView

PATIENCE: Final = 5.0
ESCALATES_AFTER: Final = 6.0
SUMMARY: Final = "Primary database is down"
DEDUP_KEY: Final = "demo-db-down"


@dataclass(frozen=True)
class Told:
    """What was measured; times in milliseconds."""

    incident_id: str
    number: int
    first_push_ms: float
    escalated_ms: float
    acknowledged_ms: float
    replaced_ms: float


@dataclass
class Story:
    """Every wait has an end; then `Failure` says what did not happen."""

    api: AsyncPager
    seeded: SeedResult
    simulator_url: str
    nats_url: str
    view: DemoView
    _seen: int = 0

    async def tell(self) -> Told:
        """Raises `Failure` at the first thing that does not happen in time."""
        async with AsyncClient(timeout=30, trust_env=False) as http:
            self._http = http
            return await self._tell()

    async def _tell(self) -> Told:
        view = self.view
        view.begins("publishing a critical alert on NATS, as any program can")
        published = time.monotonic()
        await self._publish()
        view.happened(f"alert published and on disk: “{SUMMARY}”")
        view.begins("paging who is on call")
        await self._push(ANA, PATIENCE, "no push arrived on Ana's iPhone")
        first = _since(published)
        view.happened(f"page on Ana's iPhone (APNs), {first:.0f} ms after the alert was published")
        incident = await self._incident()
        whose = f"incident #{incident['number']} “{incident['title']}” is open, and team {NAME}'s"
        view.happened(whose, id=incident["id"])
        view.begins("Ana does not answer: Bo is paged after 6 seconds")
        await self._push(BO, ESCALATES_AFTER + PATIENCE, "it did not escalate to Bo's Android")
        escalated = _since(published)
        view.happened(f"escalated to Bo's Android (FCM) after {escalated / 1000:.1f} s")
        view.begins("Bo acknowledges over the API")
        before, asked = self._seen, time.monotonic()
        await self._acknowledge(incident["id"])
        acknowledged = _since(asked)
        view.happened(f"Bo acknowledged over the API, answered in {acknowledged:.0f} ms")
        view.begins("the pages on both phones are replaced")
        for person in (ANA, BO):
            await self._push(person, PATIENCE, f"the page on {person.device_name} was not replaced", after=before)
        replaced = _since(asked)
        view.happened(f"both phones show “acknowledged” after {replaced:.0f} ms, silently; nobody else is paged")
        return Told(incident["id"], incident["number"], first, escalated, acknowledged, replaced)

    async def _publish(self) -> None:
        body = {
            "summary": SUMMARY,
            "priority": "critical",
            "dedupKey": DEDUP_KEY,
            "description": "db-1 does not answer on port 5432; its replica is 90 s behind.",
            "metadata": {"service": "checkout", "host": "db-1"},
            "routingKey": self.seeded.routing_key,
        }
        self._seen = await self._newest()
        async with bus.connected(self.nats_url) as client:
            await bus.publish_alert(client, alert_subject("demo", Priority.CRITICAL), json.dumps(body).encode(), {})

    async def _push(self, person: Person, seconds: float, missing: str, after: int | None = None) -> dict[str, Any]:
        """The next accepted push on a phone, after all that were seen (or push `after`). Raises `Failure`."""
        start = self._seen if after is None else after
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            query = f"after={start}&limit=1&deviceToken={quote(person.push_token)}&wait={min(left, 10):.2f}"
            for push in await self._get(f"/pushes?{query}"):
                start = int(push["id"])
                if push["status"] == 200:
                    self._seen = max(self._seen, start)
                    return dict(push)
        raise Failure(f"{missing} within {seconds:.0f} s")

    async def _newest(self) -> int:
        return int((await self._get("/healthz"))["newestId"])

    async def _get(self, path: str) -> Any:
        try:
            answer = await self._http.get(self.simulator_url + path)
        except HTTPError as error:
            raise Failure(f"the push simulators do not answer: {str(error) or type(error).__name__}") from None
        if answer.status_code != 200:
            raise Failure(f"the push simulators answer {answer.status_code} to {path.partition('?')[0]}")
        return answer.json()

    async def _incident(self) -> IncidentView:
        """The incident of our alert. Raises `Failure`."""
        door = self.api.with_token(self.seeded.seeded.access_tokens[ANA.email])

        async def find() -> IncidentView | None:
            found = (await door.list_incidents(limit=100))["incidents"]
            ours = [i for i in found if (i.get("dedupKey"), i["teamId"]) == (DEDUP_KEY, self.seeded.seeded.crew.team)]
            open_ones = [i for i in ours if i["status"] in ("created", "escalated")]
            return open_ones[0] if open_ones else None

        return await _until(find, "the incident is not in the list")

    async def _acknowledge(self, incident_id: str) -> None:
        door = self.api.with_token(self.seeded.seeded.access_tokens[BO.email])
        answer = await door.acknowledge_incident(incident_id, notes="On it.")
        if answer["incident"]["status"] != "acknowledged":
            raise Failure(f"the incident is {answer['incident']['status']} after Bo acknowledged it")


def _since(moment: float) -> float:
    return (time.monotonic() - moment) * 1000


async def _until(look: Callable[[], Awaitable[IncidentView | None]], missing: str) -> IncidentView:
    deadline = time.monotonic() + PATIENCE
    while (found := await look()) is None:
        if time.monotonic() > deadline:
            raise Failure(f"{missing} within {PATIENCE:.0f} s")
        await asyncio.sleep(0.05)
    return found
