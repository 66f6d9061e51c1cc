"""Whoever heard no answer may send again: the same Idempotency-Key is one command and one answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from libs.contracts.api_keys import PREFIX
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from services.auth.passwords import Passwords
from services.gateway.app import Api
from tests.phone import PASSWORD, Phone
from tests.world import World

_PERSON = {"email": "cy@pager.test", "password": PASSWORD, "firstName": "Cy", "lastName": "Ek"}
_LAYER = {"rotationType": "weekly", "start": "2026-03-02T09:00"}


async def _incident(world: World, *steps: str) -> str:
    created = await world.admin.call("POST", "/incidents", {"title": "db down"})
    for step in steps:
        await world.admin.call("POST", f"/incidents/{created.data['incident']['id']}/{step}", {})
    return str(created.data["incident"]["id"])


async def _policy(world: World) -> tuple[str, Any]:
    target = {"type": "user", "id": str(world.admin.user_id)}
    return "/escalation/policies", {"name": "Night", "levels": [{"timeoutMinutes": 5, "targets": [target]}]}


async def _schedule(world: World) -> tuple[str, Any]:
    layer = _LAYER | {"participants": [str(world.admin.user_id)]}
    return "/on-call/schedules", {"name": "Nights", "timezone": "UTC", "layers": [layer]}


async def _override(world: World) -> tuple[str, Any]:
    start, end = (world.clock.now() + timedelta(days=days) for days in (1, 2))
    hours = {"startTime": start.isoformat(), "endTime": end.isoformat()}
    return f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}/overrides", {"userId": str(world.admin.user_id)} | hours


async def _key(world: World) -> tuple[str, Any]:
    made = await world.admin.call("POST", "/integrations", {"name": "Shop"})
    return f"/integrations/{made.data['integration']['id']}/keys", None


_API_KEY = {"name": "Deploys", "scopes": ["incidents.list"]}


def _of_api_key(verb: str) -> Callable[[World], Awaitable[tuple[str, Any]]]:
    async def request(world: World) -> tuple[str, Any]:
        team = await world.admin.call("POST", "/teams", {"name": f"Those who {verb}"})
        body = _API_KEY | {"teamId": team.data["team"]["id"]}
        made = await world.admin.call("POST", "/api-keys", body)
        return f"/api-keys/{made.data['apiKey']['id']}/{verb}", None

    return request


async def _unlock(world: World) -> tuple[str, Any]:
    wrong = {"email": world.admin.email, "password": "a guess", "deviceId": "elsewhere"}
    assert (await world.http("POST", "/auth/login", wrong)).status == 401
    return f"/users/{world.admin.user_id}/unlock", None


async def _bulk(world: World) -> tuple[str, Any]:
    ids = [await _incident(world), "no id", await _incident(world)]
    return "/incidents/bulk", {"action": "acknowledge", "ids": ids, "notes": "mine"}


def _status(step: str, *before: str) -> Callable[[World], Awaitable[tuple[str, Any]]]:
    async def request(world: World) -> tuple[str, Any]:
        return f"/incidents/{await _incident(world, *before)}/{step}", {"notes": "mine"}

    return request


async def _review(world: World) -> tuple[str, Any]:
    return f"/incidents/{await _incident(world, 'resolve')}/review", None


def _standing(verb: str, *before: str) -> Callable[[World], Awaitable[tuple[str, Any]]]:
    async def request(world: World) -> tuple[str, Any]:
        person = f"/users/{(await world.person(f'someone-to-{verb}')).user_id}"
        for step in before:
            assert (await world.admin.call("POST", f"{person}/{step}")).status == 200
        return f"{person}/{verb}", None

    return request


async def _invite(world: World) -> tuple[str, Any]:
    made = await world.admin.call("POST", "/invites", {"email": "resent@pager.test"})
    return f"/invites/{made.data['invite']['id']}/resend", None


async def _reset_link(world: World) -> tuple[str, Any]:
    return f"/users/{(await world.person('forgetful')).user_id}/password/reset-link", None


async def _member(world: World) -> tuple[str, Any]:
    made = await world.admin.call("POST", "/teams", {"name": "Web"})
    return f"/teams/{made.data['team']['id']}/members", {"userId": str((await world.person("webby")).user_id)}


def _plain(path: str, body: Any) -> Callable[[World], Awaitable[tuple[str, Any]]]:
    async def request(_world: World) -> tuple[str, Any]:
        return path, body

    return request


def _act(verb: str, body: dict[str, Any], person: str | None = None) -> Callable[[World], Awaitable[tuple[str, Any]]]:
    """`person`: the field that names somebody, or some."""

    async def request(world: World) -> tuple[str, Any]:
        path = f"/incidents/{await _incident(world)}/{verb}"
        if person is None:
            return path, body
        helper = str((await world.person(f"helper-{verb}")).user_id)
        return path, body | {person: [helper] if person.endswith("s") else helper}

    return request


def _feature(verb: str, body: Any = None) -> Callable[[World], Awaitable[tuple[str, Any]]]:
    async def request(world: World) -> tuple[str, Any]:
        await world.admin.call("PUT", "/admin/features/analytics", {"enabled": False})
        return f"/admin/features/analytics/{verb}", body

    return request


async def _receipt(world: World) -> tuple[str, Any]:
    sent = await world.admin.call("POST", "/devices/tablet/test")
    at = world.clock.now().isoformat()
    return f"/notifications/{sent.data['notification']['id']}/receipts", {"state": "received", "at": at}


_DEVICE = {"deviceId": "tablet", "deviceName": "a tablet", "platform": "android", "pushToken": "fcm-token-1"}
REQUESTS: dict[str, Callable[[World], Awaitable[tuple[str, Any]]]] = {
    "registerUser": _plain("/users", _PERSON),
    "unlockUser": _unlock,
    "createTeam": _plain("/teams", {"name": "Core"}),
    "setMember": _member,
    "enableFeature": _feature("enable"),
    "rollOutFeature": _feature("rollout", {"percentage": 30}),
    "registerDevice": _plain("/devices", _DEVICE),
    "testDevice": _plain("/devices/tablet/test", None),
    "recordReceipt": _receipt,
    "deactivateUser": _standing("deactivate"),
    "invite": _plain("/invites", {"email": "di@pager.test"}),
    "resendInvite": _invite,
    "makeResetLink": _reset_link,
    "reactivateUser": _standing("reactivate", "deactivate"),
    "createIncident": _plain("/incidents", {"title": "db down"}),
    "acknowledgeIncident": _status("acknowledge"),
    "resolveIncident": _status("resolve"),
    "closeIncident": _status("close", "resolve"),
    "reopenIncident": _status("reopen", "resolve"),
    "reassignIncident": _act("reassign", {"notes": "yours"}, "assignedTo"),
    "snoozeIncident": _act("snooze", {"minutes": 5}),
    "escalateIncident": _act("escalate", {"level": 1}),
    "suppressIncident": _act("suppress", {"minutes": 5}),
    "addResponders": _act("responders", {"notes": "help"}, "userIds"),
    "addNote": _act("notes", {"text": "the replica lags"}),
    "draftReview": _review,
    "bulkIncidents": _bulk,
    "createIntegration": _plain("/integrations", {"name": "Shop"}),
    "addIntegrationKey": _key,
    "createApiKey": _plain("/api-keys", _API_KEY),
    "takeOverApiKey": _of_api_key("take-over"),
    "addApiKeySecret": _of_api_key("secrets"),
    "createPolicy": _policy,
    "createSchedule": _schedule,
    "addOverride": _override,
    # The last: people change nothing after it.
    "setMaintenance": _plain("/admin/maintenance", {"message": "new disks"}),
}
"""One request for each POST of people's API; who adds a route adds one here."""
ELSEWHERE = {"beginTotp", "confirmTotp", "askToVerify", "sendClientReports"}
"""They need an authenticator (`test_a_second_factor_is_asked_for`) or a mail server (`test_mails_carry_links`), or what
is said twice counts twice (docs/adr/0079)."""


async def _events(world: World) -> int:
    await world.settle()
    return sum([len(await world.log(name)) for name in world.services])


async def test_every_post_of_the_api_but_sign_in_is_one_command_however_often_it_is_sent(world: World) -> None:
    posts = [operations["post"] for operations in Api().openapi()["paths"].values() if "post" in operations]
    assert {post["operationId"] for post in posts if "auth" not in post["tags"]} == REQUESTS.keys() | ELSEWHERE
    for name, request in REQUESTS.items():
        path, body = await request(world)
        before = await _events(world)
        first = await world.admin.call("POST", path, body, **{"Idempotency-Key": name})
        assert first.status in (200, 201, 202), (name, first.body)
        after = await _events(world)
        assert after > before, f"{name} did nothing"
        again = await world.admin.call("POST", path, body, **{"Idempotency-Key": name})
        assert (again.status, _kept(again.body)) == (first.status, _kept(first.body)), name
        assert await _events(world) == after, f"{name} was done twice"
        if body is None:
            continue  # its path says all there is to say
        other = await world.admin.call("POST", path, _changed(body), **{"Idempotency-Key": name})
        assert (other.status, other.body["error"]["code"]) == (409, "CONFLICT"), (name, other.body)
        assert await _events(world) == after


def _kept(said: Any) -> Any:
    """An answer without the link or API key that is shown in the first one alone."""
    if not isinstance(said, dict):
        return said
    return {name: _kept(value) for name, value in said.items() if name != "link" and not _is_api_key(name, value)}


def _is_api_key(name: str, value: Any) -> bool:
    return name == "key" and (value is None or str(value).startswith(PREFIX))


def _changed(body: dict[str, Any]) -> dict[str, Any]:
    """Another body that is valid too."""
    if body.keys() == {"email"}:
        return {"email": "another@pager.test"}
    if "endTime" in body:
        later = datetime.fromisoformat(body["endTime"]) + timedelta(hours=1)
        return body | {"endTime": later.isoformat()}
    if "state" in body:
        return body | {"state": "displayed"}
    if body.keys() == {"userId"}:
        return body | {"role": "manager"}
    for number in body.keys() & {"minutes", "level", "percentage"}:
        return body | {number: body[number] + 1}
    name = next(n for n in ("lastName", "deviceName", "title", "notes", "text", "name", "message") if n in body)
    return body | {name: "another"}


async def test_a_person_who_is_registered_again_costs_no_second_hash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    whole = Passwords.hash

    async def counted(passwords: Passwords, password: str) -> str:
        hashed.append(password)
        return await whole(passwords, password)

    monkeypatch.setattr(Passwords, "hash", counted)
    token = world.admin.session["accessToken"]
    for _ in range(3):
        answer = await world.admin.call("POST", "/users", _PERSON, **{"Idempotency-Key": "once"})
        assert answer.status == 201
    assert len(hashed) == 1
    taken = await world.admin.call("POST", "/users", _PERSON | {"email": "CY@pager.test"})
    assert (taken.status, taken.body["error"]["code"], len(hashed)) == (409, "CONFLICT", 1)
    body = _PERSON | {"email": "di@pager.test"}
    reply = await world.rpc("auth", "register_user", body, token=token)
    assert reply.position is not None
    cy = Phone(world, _PERSON["email"], "", "fcm", world.admin.user_id, "laptop")
    await cy.sign_in()
