"""People who are signed in, in teams that have schedules, policies and incidents: what `bench.api` needs beforehand.

They are made over the bus, as the gateway would ask for it: an admin alone changes more than anybody may. Their
sign-ins are real, each from an address of its own; the services hash passwords with little work for it (`ENVIRONMENT`).
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import Any, TypeVar

from aiohttp import ClientSession
from nats.aio.client import Client
from rich.console import Console
from rich.progress import Progress

from libs.contracts.subjects import SERVICES, Header, rpc_subject

T = TypeVar("T")
R = TypeVar("R")

ENVIRONMENT = {
    # Signing in is not measured, and a thousand hashes of the specification's take four minutes of a core.
    "PAGER_BCRYPT_ROUNDS": "4",
    "PAGER_INSECURE_TEST_HASHING": "true",
    "PAGER_TRUSTED_PROXIES": "127.0.0.1",
    # Nobody has to refresh meanwhile.
    "JWT_ACCESS_EXPIRES": "1h",
    "ENABLE_RATE_LIMITING": "true",
}
_PASSWORD = "Correct-Horse-7-Battery"  # noqa: S105 - of people who exist only in this benchmark
_AT_ONCE = 4
_HOME = IPv4Address("10.0.0.0")
_ROTA = 5
"""People of a team who take turns."""


@dataclass
class Person:
    id: str
    team: str
    token: str
    address: str


@dataclass
class Team:
    id: str
    schedule: str = ""
    incidents: list[str] = field(default_factory=list)
    """Of this run: open, and nobody has acknowledged them."""
    old: list[str] = field(default_factory=list)


@dataclass
class Crowd:
    """`url`: the gateway's; `bus`: as the gateway; `token`: an admin's."""

    url: str
    bus: Client
    token: str
    people: list[Person] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)

    async def gather(self, people: int, teams: int) -> None:
        """Those of an earlier run in this home, and what is missing; everybody signs in anew."""
        console = Console(stderr=True)
        with Progress(console=console) as progress:
            there = await self._every("auth", "teams", "teams", "name")
            for name in (f"bench {number}" for number in range(teams)):
                team = there.get(name) or (await self.ask("auth", "create_team", {"name": name}))["id"]
                self.teams.append(Team(team))
            known = await self._every("auth", "users", "users", "email")
            async with ClientSession() as http:

                async def come(number: int) -> Person:
                    return await self._person(http, number, known)

                self.people = await _each(range(people), come, progress, "people")
            schedules = await self._every("oncall", "schedules", "schedules", "name")
            for number, team in enumerate(self.teams):
                team.schedule = schedules.get(f"bench {number}") or await self._rota(number, team)

    async def open(self, incidents: int) -> None:
        """So many incidents, each of a team, which page whoever is on call there."""
        body = {"title": "disk is full", "description": "df says 100 %", "priority": "high"}

        async def fire(number: int) -> None:
            team = self.teams[number % len(self.teams)]
            made = await self.ask("incidents", "create", body | {"teamId": team.id})
            team.incidents.append(made["id"])

        with Progress(console=Console(stderr=True)) as progress:
            await _each(range(incidents), fire, progress, "incidents")

    async def at_rest(self) -> None:
        """Return when every service has read what the others have written. Raises SystemExit: not within a minute."""
        async with asyncio.timeout(60):
            for service in (*SERVICES, *SERVICES):
                while any((await self.ask(service, "health", {}))["lag"].values()):
                    await asyncio.sleep(0.1)

    async def ask(self, service: str, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """The data of an answer. Raises SystemExit: it was refused."""
        subject, headers = rpc_subject(service, operation), {Header.TOKEN: self.token}
        raw = (await self.bus.request(subject, json.dumps(body).encode(), timeout=10, headers=headers)).data
        answer = json.loads(raw)
        if not answer["ok"]:
            raise SystemExit(f"{service} refused {operation}: {answer['error']['message']}")
        return dict(answer["data"])

    async def _every(self, service: str, operation: str, name: str, by: str) -> dict[str, str]:
        found, cursor = dict[str, str](), None
        while True:
            page = await self.ask(service, operation, {"limit": 100} | ({"cursor": cursor} if cursor else {}))
            found |= {one[by]: one["id"] for one in page[name]}
            if (cursor := page.get("nextCursor")) is None:
                return found

    async def _person(self, http: ClientSession, number: int, known: dict[str, str]) -> Person:
        email, team = f"person{number}@bench.test", self.teams[number % len(self.teams)].id
        if email not in known:
            person = {"email": email, "password": _PASSWORD, "firstName": "Person", "lastName": str(number)}
            await self.ask("auth", "register_user", person | {"teamIds": [team]})
        address = str(_HOME + 1 + number)
        body = {"email": email, "password": _PASSWORD, "deviceId": "phone", "deviceName": "phone"}
        body["pushToken"] = secrets.token_hex(32)
        url, headers = f"{self.url}/api/v1/auth/login", {"X-Forwarded-For": address}
        async with http.post(url, json=body, headers=headers) as answer:
            said = await answer.json()
        if answer.status != 200:
            raise SystemExit(f"{email} is not let in: {said}")
        return Person(said["data"]["user"]["id"], team, said["data"]["tokens"]["accessToken"], address)

    async def _rota(self, number: int, team: Team) -> str:
        """A schedule in which all of them are, and the first ones take turns; and a policy that pages it."""
        members = [person.id for person in self.people if person.team == team.id]
        start = (datetime.now(UTC) - timedelta(days=7)).strftime("%Y-%m-%dT%H:00")
        # The later layer wins: whoever is only in the first one may take over all the same.
        everybody = {"rotationType": "weekly", "start": start, "participants": members}
        few = {"rotationType": "daily", "start": start, "participants": members[:_ROTA]}
        made = {"name": f"bench {number}", "teamId": team.id, "layers": [everybody, few]}
        schedule = str((await self.ask("oncall", "create_schedule", made))["id"])
        level = {"timeoutMinutes": 600, "targets": [{"type": "schedule", "id": schedule}]}
        policy = {"name": f"bench {number}", "teamId": team.id, "repeat": 0, "levels": [level]}
        await self.ask("escalation", "create_policy", policy)
        return schedule


def told(people: Sequence[Person], teams: Sequence[Team]) -> dict[str, Any]:
    """For the process that asks in their place."""
    return {"people": [asdict(person) for person in people], "teams": [asdict(team) for team in teams]}


async def _each(over: Sequence[T], work: Callable[[T], Awaitable[R]], progress: Progress, what: str) -> list[R]:
    places, task = asyncio.Semaphore(_AT_ONCE), progress.add_task(what, total=len(over))

    async def one(item: T) -> R:
        async with places:
            done = await work(item)
            progress.advance(task)
            return done

    return await asyncio.gather(*(one(item) for item in over))
