"""`POST /incidents/bulk`: each incident as by its own door, in the order asked for, each once."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from services.gateway import bulk
from services.gateway.forwarding import Ask
from tests.integration.test_teams_see_their_own import team
from tests.phone import Phone
from tests.world import World


async def _open(world: World, count: int, **more: Any) -> list[str]:
    made = [await world.admin.call("POST", "/incidents", {"title": f"db {n}", **more}) for n in range(count)]
    await world.settle()
    return [one.data["incident"]["id"] for one in made]


async def _bulk(who: Phone, action: str, ids: list[str], **headers: str) -> list[dict[str, Any]]:
    answer = await who.call("POST", "/incidents/bulk", {"action": action, "ids": ids, "notes": "all"}, **headers)
    assert answer.status == 200, answer.body
    results: list[dict[str, Any]] = answer.data["results"]
    return results


async def _statuses(world: World, ids: list[str]) -> set[str]:
    found = [await world.admin.call("GET", f"/incidents/{one}") for one in ids]
    return {one.data["incident"]["status"] for one in found}


async def test_what_cannot_be_changed_fails_alone_and_all_keep_their_order(world: World) -> None:
    ids = await _open(world, 6)
    unknown = str(uuid4())
    asked = [ids[0], "no id", ids[1], unknown, ids[1].upper(), *ids[2:], ids[0]]
    results = await _bulk(world.admin, "acknowledge", asked)
    assert [one["id"] for one in results] == [ids[0], "no id", ids[1], unknown, *ids[2:]]
    wrong = {one["id"]: one["error"]["code"] for one in results if not one["ok"]}
    assert wrong == {"no id": "VALIDATION_ERROR", unknown: "NOT_FOUND"}
    assert await _statuses(world, ids) == {"acknowledged"}
    noted = (await world.admin.call("GET", f"/incidents/{ids[0]}")).data["incident"]["acknowledgements"]
    assert [one["notes"] for one in noted] == ["all"]
    closed = await _bulk(world.admin, "close", ids)
    assert {one["error"]["code"] for one in closed} == {"CONFLICT"}
    ana = await world.person("ana")
    for action in ({"action": "reassign", "assignedTo": str(ana.user_id)}, {"action": "snooze", "minutes": 5}):
        answer = await world.admin.call("POST", "/incidents/bulk", {"ids": ids, **action})
        assert all(one["ok"] for one in answer.data["results"]), answer.body
    assert all(one["ok"] for one in await _bulk(world.admin, "resolve", ids))
    assert all(one["ok"] for one in await _bulk(world.admin, "close", ids))
    assert await _statuses(world, ids) == {"closed"}


async def test_what_one_does_not_see_is_not_there_and_the_rest_is_changed(world: World) -> None:
    ana = await world.person("ana")
    await world.person("bo")
    await world.policy((15, "bo"))
    bank = await team(world, "Bank")
    (theirs,) = await _open(world, 1, teamId=bank)
    (ours,) = await _open(world, 1)
    results = await _bulk(ana, "acknowledge", [theirs, ours])
    assert [(one["ok"], one.get("error", {}).get("code")) for one in results] == [(False, "NOT_FOUND"), (True, None)]
    assert await _statuses(world, [theirs]) == {"created"}


async def test_what_was_interrupted_goes_on_under_the_same_key_and_is_one_bulk(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await _open(world, 5)
    command, asked = Ask.command, 0

    async def falls_over(self: Ask, service: str, operation: str, *rest: Any, **more: Any) -> Any:
        nonlocal asked
        asked += operation == "acknowledge"
        if asked > 2:
            raise ConnectionError("the gateway has died")
        return await command(self, service, operation, *rest, **more)

    key = {"Idempotency-Key": "morning"}
    with monkeypatch.context() as dying:
        dying.setattr(Ask, "command", falls_over)
        broken = await world.admin.call("POST", "/incidents/bulk", {"action": "acknowledge", "ids": ids}, **key)
        assert broken.status == 500
    again = await world.admin.call("POST", "/incidents/bulk", {"action": "acknowledge", "ids": ids}, **key)
    assert all(one["ok"] for one in again.data["results"])
    assert await _statuses(world, ids) == {"acknowledged"}
    for body in ({"action": "resolve", "ids": ids}, {"action": "acknowledge", "ids": ids[:2]}):
        other = await world.admin.call("POST", "/incidents/bulk", body, **key)
        assert (other.status, other.body["error"]["code"]) == (409, "CONFLICT")
    assert await _statuses(world, ids) == {"acknowledged"}


async def test_a_bulk_has_few_commands_under_way_and_gives_up_where_nobody_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await _open(world, 20)
    command, most, now = Ask.command, 0, 0

    async def counted(self: Ask, service: str, operation: str, *asked: Any, **more: Any) -> Any:
        nonlocal most, now
        if operation == "begin_bulk":
            return await command(self, service, operation, *asked, **more)
        now += 1
        most = max(most, now)
        try:
            await asyncio.sleep(0)
            return await command(self, service, operation, *asked, **more)
        finally:
            now -= 1

    with monkeypatch.context() as watching:
        watching.setattr(Ask, "command", counted)
        await asyncio.gather(*(_bulk(world.admin, "acknowledge", ids) for _ in range(4)))
    assert 1 < most <= 12
    monkeypatch.setattr(bulk, "_SECONDS", -1.0)
    results = await _bulk(world.admin, "resolve", ids)
    assert {one["error"]["code"] for one in results} == {"UNAVAILABLE"}
    assert await _statuses(world, ids) == {"acknowledged"}


_NO_BULKS = [
    ({"action": "delete", "ids": ["1"]}, "action"),
    ({"action": "resolve", "ids": []}, "ids"),
    ({"action": "resolve", "ids": [str(n) for n in range(101)]}, "ids"),
    ({"action": "resolve", "ids": ["x" * 65]}, "ids.0"),
    ({"action": "resolve", "ids": "all"}, "ids"),
    ({"action": "resolve"}, "ids"),
    ({"action": "resolve", "ids": ["1"], "notes": "x" * 10_001}, "notes"),
    ({"action": "reassign", "ids": ["1"]}, "assignedTo"),
    ({"action": "resolve", "ids": ["1"], "assignedTo": str(uuid4())}, "assignedTo"),
    ({"action": "snooze", "ids": ["1"]}, "minutes"),
    ({"action": "snooze", "ids": ["1"], "minutes": 0}, "minutes"),
]


@pytest.mark.services("auth", "incidents")
async def test_what_is_no_bulk_is_400_and_nothing_is_done(world: World, subtests: pytest.Subtests) -> None:
    for body, field in _NO_BULKS:
        with subtests.test(body=body):
            answer = await world.admin.call("POST", "/incidents/bulk", body)
            assert (answer.status, answer.body["error"]["details"]["field"]) == (400, field), answer.body
