"""Who is to be paged: four phones, two policies that escalate and two that do not, each with its own routing key."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.stack import RunningPager
from cli.reach.api import api_of
from cli.stack import secrets_file
from pager_client import AsyncPager

PASSWORD = "Correct-Horse-7-Battery"
NEVER = 600.0
"""Minutes of a level that must not end during a run."""


@dataclass(frozen=True)
class Responder:
    """A person with one phone; `access` is their token for the API."""

    user_id: str
    push_token: str
    access: str


@dataclass(frozen=True)
class Route:
    """What a routing key stands for: `levels[0]` is paged at once, `levels[1]` after `minutes`."""

    key: str
    levels: tuple[Responder, ...]
    minutes: float


@dataclass(frozen=True)
class Roster:
    routes: tuple[Route, ...]
    admin: str
    """The admin's access token."""

    def route(self, number: int) -> Route:
        """Alert `number` belongs to this one: they take turns."""
        return self.routes[number % len(self.routes)]


async def make_roster(pager: RunningPager, minutes: float) -> Roster:
    """Ana (iOS, by a schedule) → Bo (Android); Cem (Android) → Dee (iOS); and Ana and Cem alone."""
    known = secrets_file.load_or_make(pager.home, os.environ)
    tag = secrets.token_hex(3)
    async with api_of(str(pager.run["gateway"])) as api:
        admin = (await api.sign_in(known.admin_email, known.admin_password, "chaos"))["tokens"]["accessToken"]
        door = api.with_token(admin)
        ana, dee = [await _responder(door, f"{name}-{tag}", secrets.token_hex(32)) for name in ("ana", "dee")]
        bo, cem = [
            await _responder(door, f"{name}-{tag}", f"fcm-{name}-{secrets.token_hex(24)}") for name in ("bo", "cem")
        ]
        on_call = {"type": "schedule", "id": await _schedule(door, f"primary-{tag}", ana)}
        routes = (
            await _route(door, f"ana-bo-{tag}", [on_call, _user(bo)], (ana, bo), minutes),
            await _route(door, f"cem-{tag}", [_user(cem)], (cem,), NEVER),
            await _route(door, f"cem-dee-{tag}", [_user(cem), _user(dee)], (cem, dee), minutes),
            await _route(door, f"ana-{tag}", [on_call], (ana,), NEVER),
        )
    return Roster(routes, admin)


@dataclass(frozen=True)
class Crowd:
    """People who are paged together, each on an Android phone; `name` is in the titles of their alerts."""

    name: str
    people: tuple[Responder, ...]
    key: str


async def make_crowd(pager: RunningPager, admin: str, size: int) -> Crowd:
    """Beside the roster: no alert of the flow is theirs."""
    name = f"crowd-{secrets.token_hex(3)}"
    async with api_of(str(pager.run["gateway"])) as api:
        door = api.with_token(admin)
        people = [await _responder(door, f"{name}-{i}", f"fcm-{name}-{secrets.token_hex(24)}") for i in range(size)]
        level = {"timeoutMinutes": NEVER, "targets": [_user(person) for person in people]}
        policy = await door.call("POST", "/escalation/policies", {"name": name, "repeat": 0, "levels": [level]})
        body = {"name": name, "type": "generic", "policyId": policy["policy"]["id"]}
        key = str((await door.call("POST", "/integrations", body))["integration"]["key"])
    return Crowd(name, tuple(people), key)


def _user(responder: Responder) -> dict[str, str]:
    return {"type": "user", "id": responder.user_id}


async def _responder(door: AsyncPager, name: str, push_token: str) -> Responder:
    email = f"{name}@pager.local"
    person = {"email": email, "password": PASSWORD, "firstName": name, "lastName": "Chaos"}
    user = await door.call("POST", "/users", person)
    signed_in = await door.login(email=email, password=PASSWORD, deviceId=f"phone of {name}", pushToken=push_token)
    return Responder(str(user["user"]["id"]), push_token, str(signed_in["tokens"]["accessToken"]))


async def _schedule(door: AsyncPager, name: str, responder: Responder) -> str:
    start = (datetime.now(UTC) - timedelta(hours=1)).replace(tzinfo=None, second=0).isoformat(timespec="minutes")
    layer = {"rotationType": "weekly", "start": start, "participants": [responder.user_id]}
    body = {"name": name, "timezone": "UTC", "layers": [layer]}
    return str((await door.call("POST", "/on-call/schedules", body))["schedule"]["id"])


async def _route(
    door: AsyncPager, name: str, targets: list[dict[str, str]], levels: tuple[Responder, ...], minutes: float
) -> Route:
    waits = [minutes] * (len(levels) - 1) + [NEVER]
    described = [{"timeoutMinutes": wait, "targets": [t]} for wait, t in zip(waits, targets, strict=True)]
    policy = await door.call("POST", "/escalation/policies", {"name": name, "repeat": 0, "levels": described})
    body = {"name": name, "type": "generic", "policyId": policy["policy"]["id"]}
    made = await door.call("POST", "/integrations", body)
    return Route(str(made["integration"]["key"]), levels, minutes)
