"""The team of the seeded people, and what it owns: a policy that pages its managers last, and an integration."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from pager_client import AsyncPager, NotFound, Unavailable, ValidationFailed
from pager_client.types import Level, Target, TeamRole

T = TypeVar("T")

SETTLE_SECONDS: Final = 10.0
NAME: Final = "Checkout"
"""Of the team, its policy and its integration."""


@dataclass(frozen=True)
class Crew:
    """Ids; `routing_key` is shown by whoever makes the integration, once (None: it was there)."""

    team: str
    policy: str
    integration: str
    routing_key: str | None = field(repr=False)

    @property
    def names(self) -> dict[str, str]:
        """What is called how, by id."""
        return {self.team: NAME, self.policy: NAME, self.integration: f"integration {NAME}"}


@dataclass
class Founding:
    """`api` speaks for an admin. Repeating it changes nothing that is as wished already."""

    api: AsyncPager
    minutes: float
    changed: list[str]

    async def run(self, member: str, manager: str) -> Crew:
        """Raises `Failure`."""
        team = await self._team(member, manager)
        policy = await self._policy(team)
        return Crew(team, policy, *await self._integration(team, policy))

    async def _team(self, member: str, manager: str) -> str:
        known = {team["name"]: team["id"] async for team in self.api.iter_teams()}
        team = known.get(NAME) or (await self.api.create_team(name=NAME))["team"]["id"]
        roles = {one["userId"]: one["role"] async for one in self.api.iter_members(team)}
        wanted: dict[str, TeamRole] = {member: "member", manager: "manager"}
        missing = {person: role for person, role in wanted.items() if roles.get(person) != role}
        for person, role in missing.items():
            await self.api.set_member(team, userId=person, role=role)
        if missing:
            self.changed.append(f"team {NAME}")
        return team

    async def _policy(self, team: str) -> str:
        """Who is on call, then the team's managers."""
        targets: tuple[Target, ...] = (
            {"type": "schedule", "id": str(DEFAULT_SCHEDULE_ID)},
            {"type": "team", "id": team, "role": "manager"},
        )
        levels: list[Level] = [{"timeoutMinutes": self.minutes, "targets": [target]} for target in targets]
        ours = [policy async for policy in self.api.iter_policies() if policy["teamId"] == team]
        if (policy := next((one for one in ours if one["name"] == NAME), None)) is None:
            # A service may not have heard of the team yet.
            made = await patiently(lambda: self.api.create_policy(name=NAME, teamId=team, levels=levels))
            policy = made["policy"]
        elif [level["timeoutMinutes"] for level in policy["levels"]] == [self.minutes] * len(levels):
            return policy["id"]
        else:
            await self.api.change_policy(policy["id"], levels=levels)
        self.changed.append(f"policy {NAME}")
        return policy["id"]

    async def _integration(self, team: str, policy: str) -> tuple[str, str | None]:
        known = {one["name"]: one["id"] async for one in self.api.iter_integrations()}
        if NAME in known:
            return known[NAME], None
        answer = await patiently(
            lambda: self.api.create_integration(name=NAME, type="generic", teamId=team, policyId=policy)
        )
        made = answer["integration"]
        self.changed.append(f"integration {NAME}")
        return str(made["id"]), str(made["key"])


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat while a service says that it has not heard of something yet: news travel over the bus."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while True:
        try:
            return await call()
        except (NotFound, ValidationFailed, Unavailable):
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(0.1)
