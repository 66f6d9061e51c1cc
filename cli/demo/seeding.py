"""Two people with phones, one on call and one behind them, in a team: what `pager seed` and the demo page."""

import asyncio
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from nats.aio.client import Client

from cli.console.failure import Failure
from cli.demo.crew import NAME, SETTLE_SECONDS, Crew, Founding, patiently
from cli.reach.bus import ask
from libs.contracts.addresses import one_address
from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from pager_client import AsyncPager, Conflict, Unauthenticated
from pager_client.types import Layer, Level, Role, SignedInView, Target

# Any Monday in the past: the rotation has one participant, so only "has begun" counts.
_ROTATION_START: Final = "2026-01-05T00:00:00"


@dataclass(frozen=True)
class Person:
    """Somebody with a phone; the push token of 64 hex digits makes it an iPhone."""

    first_name: str
    last_name: str
    email: str
    device_id: str
    device_name: str
    push_token: str
    roles: tuple[Role, ...] = ("user",)

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}"


def _token(email: str) -> str:
    """The same at every seeding: a phone keeps its token."""
    return hashlib.sha256(f"pager seed {email}".encode()).hexdigest()


ANA: Final = Person("Ana", "Alvarez", "ana@pager.local", "ana-iphone", "Ana's iPhone", _token("ana@pager.local"))
BO: Final = Person("Bo", "Berg", "bo@pager.local", "bo-android", "Bo's Android", f"bo:{_token('bo@pager.local')}")
PEOPLE: Final = (ANA, BO)


@dataclass(frozen=True)
class Seeded:
    """Who was signed in, by e-mail address: user ids and access tokens."""

    user_ids: Mapping[str, str]
    access_tokens: Mapping[str, str] = field(repr=False)
    crew: Crew
    changed: tuple[str, ...] = ()


@dataclass
class Seeding:
    """`passwords` by e-mail address. Repeating it changes nothing that is as wished already."""

    api: AsyncPager
    passwords: Mapping[str, str] = field(repr=False)
    minutes: float = 0.1
    changed: list[str] = field(default_factory=list)

    async def run(self) -> Seeded:
        """`api` speaks for an admin. Raises `Failure`."""
        known = {one_address(user["email"]): user["id"] async for user in self.api.iter_users()}
        await asyncio.gather(*(self._register(person) for person in PEOPLE if person.email not in known))
        signed_in = await asyncio.gather(*(self._sign_in(person) for person in PEOPLE))
        ids = {person.email: str(answer["user"]["id"]) for person, answer in zip(PEOPLE, signed_in, strict=True)}
        await self._schedule(ids[ANA.email])
        await self._policy(ids[BO.email])
        before = len(self.changed)
        crew = await Founding(self.api, self.minutes, self.changed).run(ids[ANA.email], ids[BO.email])
        if f"team {NAME}" in self.changed[before:]:
            # Who comes into a team has other rights from then on, and other tokens.
            signed_in = await asyncio.gather(*(self._sign_in(person) for person in PEOPLE))
        tokens = {p.email: str(a["tokens"]["accessToken"]) for p, a in zip(PEOPLE, signed_in, strict=True)}
        return Seeded(ids, tokens, crew, tuple(self.changed))

    async def _register(self, person: Person) -> None:
        with suppress(Conflict):  # somebody else seeds at the same time
            await self.api.register_user(
                email=person.email,
                password=self.passwords[person.email],
                firstName=person.first_name,
                lastName=person.last_name,
                roles=person.roles,
            )
        self.changed.append(person.email)

    async def _sign_in(self, person: Person) -> SignedInView:
        try:
            return await self.api.login(
                email=person.email,
                password=self.passwords[person.email],
                deviceId=person.device_id,
                deviceName=person.device_name,
                pushToken=person.push_token,
            )
        except Unauthenticated:
            raise Failure(
                f"{person.email} has another password than the seed: was it changed, or seeded elsewhere?"
            ) from None

    async def _schedule(self, ana: str) -> None:
        """The schedule of the first start, with Ana on call."""
        schedule = await patiently(lambda: self.api.get_schedule(DEFAULT_SCHEDULE_ID))
        layers = schedule["schedule"]["layers"]
        if len(layers) == 1 and layers[0]["participants"] == [ana] and not layers[0].get("restrictions"):
            return
        layer: Layer = {"rotationType": "weekly", "start": _ROTATION_START, "participants": [ana]}
        # A service may not have heard of a new person yet.
        await patiently(lambda: self.api.change_schedule(DEFAULT_SCHEDULE_ID, layers=[layer], isActive=True))
        self.changed.append("schedule Primary On-Call")

    async def _policy(self, bo: str) -> None:
        """The policy of the first start: who is on call, then Bo."""
        targets: list[Target] = [{"type": "schedule", "id": str(DEFAULT_SCHEDULE_ID)}, {"type": "user", "id": bo}]
        wanted = [(self.minutes, target["type"], target["id"]) for target in targets]
        policy = (await patiently(lambda: self.api.get_policy(DEFAULT_POLICY_ID)))["policy"]
        if wanted == [
            (level["timeoutMinutes"], target["type"], target.get("id"))
            for level in policy["levels"]
            for target in level["targets"]
        ]:
            return
        levels: list[Level] = [{"timeoutMinutes": self.minutes, "targets": [target]} for target in targets]
        await patiently(lambda: self.api.change_policy(DEFAULT_POLICY_ID, levels=levels))
        self.changed.append("policy Default")


async def settled(
    client: Client, services: tuple[str, ...] = ("oncall", "incidents", "escalation", "notifier")
) -> None:
    """Return when every service has read what the others have decided so far.

    The position of each log is compared with what the others say about their lag, twice, because what one reads may
    make another write. Raises `Failure` after ten seconds.
    """
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    before: Any = None
    while True:
        await asyncio.sleep(0.1)
        health = await asyncio.gather(*(ask(client, service, "health", {}) for service in services))
        positions = await asyncio.gather(*(ask(client, service, "position", {}) for service in ("auth", *services)))
        behind = [h["service"] for h in health if any(h["lag"].values())]
        if not behind and positions == before:
            return
        before = positions
        if asyncio.get_running_loop().time() > deadline:
            raise Failure(f"still behind after {SETTLE_SECONDS:.0f} s: {', '.join(behind) or 'the logs keep growing'}")
