"""The team of the seeded people, and what it owns: a policy that pages its managers last, and an integration."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from cli.reach.api import Api, Refused
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID

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

    api: Api
    minutes: float
    changed: list[str]

    async def run(self, member: str, manager: str) -> Crew:
        """Raises `Failure`."""
        team = await self._team(member, manager)
        policy = await self._policy(team)
        return Crew(team, policy, *await self._integration(team, policy))

    async def _team(self, member: str, manager: str) -> str:
        known = {team["name"]: str(team["id"]) for team in await self.api.every("/teams", "teams")}
        team = known.get(NAME) or str((await self.api.call("POST", "/teams", {"name": NAME}))["team"]["id"])
        path = f"/teams/{team}/members"
        roles = {one["userId"]: one["role"] for one in await self.api.every(path, "members")}
        wanted = {member: "member", manager: "manager"}
        missing = {person: role for person, role in wanted.items() if roles.get(person) != role}
        for person, role in missing.items():
            await self.api.call("POST", path, {"userId": person, "role": role})
        if missing:
            self.changed.append(f"team {NAME}")
        return team

    async def _policy(self, team: str) -> str:
        """Who is on call, then the team's managers."""
        targets = (
            {"type": "schedule", "id": str(DEFAULT_SCHEDULE_ID)},
            {"type": "team", "id": team, "role": "manager"},
        )
        levels = [{"timeoutMinutes": self.minutes, "targets": [target]} for target in targets]
        path = "/escalation/policies"
        ours = [policy for policy in await self.api.every(path, "policies") if policy["teamId"] == team]
        if (policy := next((one for one in ours if one["name"] == NAME), None)) is None:
            body = {"name": NAME, "teamId": team, "levels": levels}
            # A service may not have heard of the team yet.
            policy = (await patiently(lambda: self.api.call("POST", path, body)))["policy"]
        elif [level["timeoutMinutes"] for level in policy["levels"]] == [self.minutes] * len(levels):
            return str(policy["id"])
        else:
            await self.api.call("PATCH", f"{path}/{policy['id']}", {"levels": levels})
        self.changed.append(f"policy {NAME}")
        return str(policy["id"])

    async def _integration(self, team: str, policy: str) -> tuple[str, str | None]:
        path = "/integrations"
        known = {one["name"]: str(one["id"]) for one in await self.api.every(path, "integrations")}
        if NAME in known:
            return known[NAME], None
        body = {"name": NAME, "type": "generic", "teamId": team, "policyId": policy}
        made = (await patiently(lambda: self.api.call("POST", path, body)))["integration"]
        self.changed.append(f"integration {NAME}")
        return str(made["id"]), str(made["key"])


async def patiently(call: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Repeat while a service says that it has not heard of something yet: news travel over the bus."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while True:
        try:
            return await call()
        except Refused as refused:
            late = asyncio.get_running_loop().time() > deadline
            if late or refused.code not in ("NOT_FOUND", "VALIDATION_ERROR", "UNAVAILABLE"):
                raise
        await asyncio.sleep(0.1)
