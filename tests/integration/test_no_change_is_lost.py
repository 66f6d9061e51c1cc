"""Whoever says which version a change is meant for changes that one, or nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from tests.phone import Answer
from tests.world import World

POLICY = f"/escalation/policies/{DEFAULT_POLICY_ID}"
SCHEDULE = f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}"


async def _events(world: World) -> int:
    await world.settle()
    return sum([len(await world.log(name)) for name in world.services])


def _version(etag: str) -> str:
    """The tag of a version, of one that also says how it looked."""
    return '"' + etag.strip('"').partition(".")[0] + '"'


def _outdated(answer: Answer, etag: str) -> None:
    assert (answer.status, answer.body["error"]["code"]) == (412, "PRECONDITION_FAILED"), answer.body
    assert answer.body["error"]["details"]["etag"] == answer.headers["ETag"] == _version(etag)


async def test_what_is_made_read_and_changed_has_one_tag_until_it_changes(world: World) -> None:
    await world.two_responders()  # whom no level is passed for: that would be another version
    call = world.admin.call
    target = {"type": "user", "id": str(world.admin.user_id)}
    level = {"timeoutMinutes": 5, "targets": [target]}
    made: list[tuple[str, Any, Any]] = [
        ("/incidents", {"title": "db down"}, {"title": "disk full"}),
        ("/integrations", {"name": "Shop"}, {"name": "Till"}),
        ("/escalation/policies", {"name": "Nights", "levels": [level]}, {"name": "Days"}),
        ("/on-call/schedules", {"name": "Nights", "layers": []}, {"name": "Days"}),
    ]
    for path, body, change in made:
        created = await call("POST", path, body, **{"Idempotency-Key": path})
        (thing,) = created.data.values()
        got = await call("GET", f"{path}/{thing['id']}")
        assert _version(got.headers["ETag"]) == _version(created.headers["ETag"]) == f'"{thing["version"]}"'
        changed = await call("PATCH", f"{path}/{thing['id']}", change, **{"If-Match": got.headers["ETag"]})
        assert changed.status == 200, changed.body
        now = (await call("GET", f"{path}/{thing['id']}")).headers["ETag"]
        assert _version(changed.headers["ETag"]) == _version(now) != _version(got.headers["ETag"])
        assert (await call("GET", f"{path}/{thing['id']}", **{"If-None-Match": now})).status == 304
        again = await call("POST", path, body, **{"Idempotency-Key": path})
        assert (again.body, again.headers["ETag"]) == (created.body, created.headers["ETag"])


async def test_a_profile_and_a_place_in_a_team_are_changed_as_they_were_read(world: World) -> None:
    call = world.admin.call
    bo = await world.person("bo")
    made = await call("POST", "/teams", {"name": "Shop"})
    members = f"/teams/{made.data['team']['id']}/members"
    added = await call("POST", members, {"userId": str(bo.user_id), "role": "member"})
    place = f"{members}/{bo.user_id}"
    for who, path, change in ((bo, "/users/me", {"lastName": "Berg"}), (world.admin, place, {"role": "manager"})):
        read = await who.call("GET", path)
        changed = await who.call("PATCH", path, change, **{"If-Match": read.headers["ETag"]})
        assert changed.status == 200, changed.body
        await world.settle()
        await bo.sign_in()
        now = (await who.call("GET", path)).headers["ETag"]
        assert _version(changed.headers["ETag"]) == _version(now) != _version(read.headers["ETag"])
        _outdated(await who.call("PATCH", path, change, **{"If-Match": read.headers["ETag"]}), now)
    _outdated(await call("DELETE", place, **{"If-Match": added.headers["ETag"]}), now)
    assert (await call("DELETE", place, **{"If-Match": now})).status == 200


async def test_what_belongs_to_a_thing_is_added_and_taken_away_as_the_thing_was_read(world: World) -> None:
    call = world.admin.call
    key = {"name": "Deploys", "scopes": ["incidents.list"]}
    for path, body, part, added in (
        ("/incidents", {"title": "db down"}, "notes", {"text": "it is the disk"}),
        ("/integrations", {"name": "Shop"}, "keys", None),
        ("/api-keys", key, "secrets", None),
    ):
        made = await call("POST", path, body)
        assert made.status == 201, made.body
        await world.settle()  # an incident is paged for, which is another version
        thing = f"{path}/{next(iter(made.data.values()))['id']}"
        read = (await call("GET", thing)).headers["ETag"]
        outdated = {"If-Match": '"0"'}
        _outdated(await call("POST", f"{thing}/{part}", added, **outdated), read)
        first = await call("POST", f"{thing}/{part}", added, **{"If-Match": read})
        assert first.status == 201, first.body
        if part != "notes":  # which nobody takes back
            one = f"{thing}/{part}/{next(iter(first.data.values()))['id']}"
            now = (await call("GET", thing)).headers["ETag"]
            _outdated(await call("DELETE", one, **{"If-Match": read}), now)
            assert (await call("DELETE", one, **{"If-Match": now})).status == 200


async def test_of_changes_that_were_meant_for_one_version_exactly_one_is_made(world: World) -> None:
    for path in (POLICY, SCHEDULE):
        tag = (await world.admin.call("GET", path)).headers["ETag"]
        changes = [world.admin.call("PATCH", path, {"name": f"n{n}"}, **{"If-Match": tag}) for n in range(8)]
        answers = await asyncio.gather(*changes)
        (won,) = [a for a in answers if a.status == 200]
        for answer in answers:
            if answer is not won:
                _outdated(answer, won.headers["ETag"])
        (thing,) = won.data.values()
        assert list((await world.admin.call("GET", path)).data.values()) == [thing]


async def test_a_change_that_was_meant_for_another_version_changes_nothing(world: World) -> None:
    call = world.admin.call
    made = await call("POST", "/incidents", {"title": "db down"})
    incident = f"/incidents/{made.data['incident']['id']}"
    before = await _events(world)
    tag = (await call("GET", incident)).headers["ETag"]
    for match in ('"99"', f"W/{tag}", '"x", "y"'):
        for step in ("acknowledge", "resolve"):
            _outdated(await call("POST", f"{incident}/{step}", {}, **{"If-Match": match}), tag)
        for path in (POLICY, SCHEDULE):
            current = (await call("GET", path)).headers["ETag"]
            _outdated(await call("PATCH", path, {"name": "other"}, **{"If-Match": match}), current)
    malformed = await call("PATCH", POLICY, {"name": "other"}, **{"If-Match": "1"})
    assert (malformed.status, malformed.body["error"]["details"]["field"]) == (400, "If-Match")
    unknown = await call("PATCH", f"/escalation/policies/{uuid4()}", {"name": "other"}, **{"If-Match": '"1"'})
    assert unknown.status == 404, "what is not there is not there, whatever version was meant"
    assert await _events(world) == before

    answered = await call("POST", f"{incident}/acknowledge", {}, **{"If-Match": f'"99", {tag}'})
    assert answered.status == 200, answered.body
    _outdated(await call("POST", f"{incident}/resolve", {}, **{"If-Match": tag}), answered.headers["ETag"])
    assert (await call("POST", f"{incident}/resolve", {}, **{"If-Match": "*"})).status == 200


async def test_a_schedules_tag_is_that_of_its_rules_and_overrides_not_of_its_plan(world: World) -> None:
    call = world.admin.call
    tag = (await call("GET", SCHEDULE)).headers["ETag"]
    await world.advance(minutes=3 * 24 * 60)
    assert len(await world.log("oncall", "ShiftsPlanned")) > 1, "its plan has gone on"
    start = world.clock.now() + timedelta(hours=1)
    hours = {"startTime": start.isoformat(), "endTime": (start + timedelta(hours=1)).isoformat()}
    assert (await call("GET", SCHEDULE)).headers["ETag"] == tag
    changed = await call("PATCH", SCHEDULE, {"name": "Days"}, **{"If-Match": tag})
    assert changed.status == 200, changed.body
    added = await call("POST", f"{SCHEDULE}/overrides", {"userId": str(world.admin.user_id)} | hours)
    assert added.status == 201, added.body
    now = (await call("GET", SCHEDULE)).headers["ETag"]
    _outdated(await call("PATCH", SCHEDULE, {"name": "x"}, **{"If-Match": changed.headers["ETag"]}), now)
