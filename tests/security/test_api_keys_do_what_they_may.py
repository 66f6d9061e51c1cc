"""Machines: an API key may do what its scopes name as far as its maker may now, within a minute's tokens too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.contracts.api_keys import is_key, new_key
from libs.contracts.envelope import ActorKind
from libs.contracts.subjects import SERVICES
from services.auth import api_keys
from services.gateway import limits
from services.gateway.limits import Limit, Size
from tests.attacks import Attack, Told
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

READS = ["incidents.list", "incidents.read"]


async def _make(world: World, maker: Phone, scopes: list[str], **more: Any) -> dict[str, Any]:
    answer = await maker.call("POST", "/api-keys", {"name": "Deploys", "scopes": scopes, **more})
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.data["apiKey"]
    return made


async def _asks(world: World, key: str, path: str = "/incidents", method: str = "GET", body: Any = None) -> Answer:
    return await world.http(method, path, body, key)


async def _becomes(world: World, key: str, status: int, path: str = "/incidents") -> None:
    """What services have to hear of first is so within a second; nothing here moves the clock."""

    async def look() -> int:
        return (await _asks(world, key, path)).status

    await world.eventually(look, lambda seen: seen == status, f"{status} of {path}")


async def _team(world: World, **people: Phone) -> str:
    """A team of these people, by their roles in it."""
    answer = await world.admin.call("POST", "/teams", {"name": f"Team {uuid4()}"})
    assert answer.status == 201, answer.body
    team: str = answer.data["team"]["id"]
    for role, person in people.items():
        await _joins(world, team, person, role)
    return team


async def _joins(world: World, team: str, person: Phone, role: str) -> None:
    body = {"userId": str(person.user_id), "role": role}
    answer = await world.admin.call("POST", f"/teams/{team}/members", body)
    assert answer.status in (200, 201), answer.body
    await person.sign_in()


async def test_a_key_does_what_its_scopes_name_and_events_name_the_key(world: World, told: Told) -> None:
    made = await _make(world, world.admin, [*READS, "incidents.create", "incidents.acknowledge"])
    key = made.pop("key")
    assert is_key(key)
    assert made["prefix"] == key[:12]
    assert made["ownerId"] == str(world.admin.user_id)
    opened = await _asks(world, key, "/incidents", "POST", {"title": "disk full", "priority": "high"})
    assert opened.status == 201, opened.body
    incident = opened.data["incident"]["id"]
    assert (await _asks(world, key, f"/incidents/{incident}/acknowledge", "POST", {})).status == 200
    beyond = await _asks(world, key, f"/incidents/{incident}/resolve", "POST", {})
    assert (beyond.status, beyond.body["error"]["message"]) == (403, "this needs the scope incidents.write")
    told(Attack.KEY_SCOPE, "403 FORBIDDEN")
    assert (await _asks(world, key, "/users/me")).status == 403, "it is nobody's self"
    assert (await _asks(world, key, "/api-keys")).status == 403, "nor does it make others"
    facts = await world.log("incidents", "IncidentCreated", "IncidentAcknowledged")
    assert {(f.actor.kind, f.actor.id) for f in facts} == {(ActorKind.KEY, made["id"])}
    entries = await world.timeline(incident)
    assert {"kind": "key", "id": made["id"]} in [entry["actor"] for entry in entries]

    shown = (await world.admin.call("GET", f"/api-keys/{made['id']}")).data["apiKey"]
    assert "key" not in {name for name, value in shown.items() if value is not None}

    async def used() -> Any:
        return (await world.admin.call("GET", f"/api-keys/{made['id']}")).data["apiKey"]["lastUsedAt"]

    assert await world.eventually(used, bool, "when it was used")


_ASKED = {
    "auth": ("users", {}),
    "oncall": ("schedules", {}),
    "incidents": ("list", {}),
    "escalation": ("policies", {}),
    "notifier": ("list", {"incidentId": str(UUID(int=1))}),
}
_OF_ALL = ["people.read", "schedules.read", "incidents.list", "policies.read", "notifications.read"]


async def _said(world: World, token: str) -> set[str]:
    """What the services say to a token, whoever brings it."""
    replies = [await world.rpc(service, name, body, token) for service, (name, body) in _ASKED.items()]
    return {"ok" if reply.error is None else str(reply.error.kind) for reply in replies}


def _revoked(_world: World, key: dict[str, Any], _ana: Phone) -> tuple[str, str, Any]:
    return "DELETE", f"/api-keys/{key['id']}", None


def _less(_world: World, key: dict[str, Any], _ana: Phone) -> tuple[str, str, Any]:
    return "PATCH", f"/api-keys/{key['id']}", {"scopes": _OF_ALL[1:]}


def _sooner(world: World, key: dict[str, Any], _ana: Phone) -> tuple[str, str, Any]:
    soon = (world.clock.now() + timedelta(seconds=5)).isoformat()
    return "PATCH", f"/api-keys/{key['id']}", {"expiresAt": soon}


def _taken(_world: World, key: dict[str, Any], _ana: Phone) -> tuple[str, str, Any]:
    return "POST", f"/api-keys/{key['id']}/take-over", None


def _deactivated(_world: World, _key: dict[str, Any], ana: Phone) -> tuple[str, str, Any]:
    return "POST", f"/users/{ana.user_id}/deactivate", None


def _demoted(_world: World, _key: dict[str, Any], ana: Phone) -> tuple[str, str, Any]:
    return "PATCH", f"/users/{ana.user_id}", {"roles": ["user"]}


@pytest.mark.services(*SERVICES)
@pytest.mark.parametrize("change", [_revoked, _less, _sooner, _taken, _deactivated, _demoted])
async def test_a_tokens_past_is_refused_by_every_service(
    world: World, change: Callable[[World, dict[str, Any], Phone], tuple[str, str, Any]]
) -> None:
    """Not at the gateway alone: somebody may have got hold of the token that stands for the key there."""
    ana = await world.person("ana", roles=("admin", "user"))
    team = await _team(world, manager=ana)
    made = await _make(world, ana, _OF_ALL, teamId=team if change is _taken else None)
    token = (await world.rpc("auth", "exchange_key", {"key": made["key"]})).data["accessToken"]
    assert await _said(world, token) <= {"ok", "not_found", "forbidden"}, "a team's key sees no people"
    answer = await world.admin.call(*change(world, made, ana))
    assert answer.status == 200, answer.body
    at_once = await world.rpc("auth", "users", {}, token)
    assert at_once.error is not None
    assert str(at_once.error.kind) == "unauthenticated", "auth itself knows at once"

    async def said() -> set[str]:
        return await _said(world, token)

    await world.eventually(said, lambda kinds: kinds == {"unauthenticated"}, "that no service takes it")


async def test_nobody_has_more_than_a_hundred(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_KEYS", 2)
    first, _ = await _make(world, world.admin, READS), await _make(world, world.admin, READS)
    body = {"name": "x", "scopes": READS}
    assert (await world.admin.call("POST", "/api-keys", body)).status == 409
    assert (await world.admin.call("DELETE", f"/api-keys/{first['id']}")).status == 200
    await _make(world, world.admin, READS)


async def test_what_becomes_of_a_key_is_audited(world: World) -> None:
    made = await _make(world, world.admin, READS)
    path = f"/api-keys/{made['id']}"
    world.clock.advance(seconds=1)
    assert (await world.admin.call("PATCH", path, {"scopes": READS[:1]})).status == 200
    world.clock.advance(seconds=1)
    assert (await world.admin.call("DELETE", path)).status == 200
    told = (await world.admin.call("GET", f"/audit?resource=api-keys/{made['id']}")).data["entries"]
    actions = [one["action"] for one in told]
    assert (actions[:2], set(actions[2:])) == (
        ["ApiKeyRevoked", "ApiKeyChanged"],
        {"ApiKeyCreated", "ApiKeySecretAdded"},
    )
    assert (told[1]["old"]["scopes"], told[1]["new"]["scopes"]) == (READS, READS[:1])
    assert made["key"] not in str(told)


_NO_SCOPES = [
    (["me"], "scopes.0"),
    (["incidents.list", "keys.write"], "scopes.1"),
    (["everything"], "scopes.0"),
    ([], "scopes"),
]


async def test_what_is_for_people_alone_is_no_scope(world: World, subtests: pytest.Subtests) -> None:
    for scopes, field in _NO_SCOPES:
        with subtests.test(scopes=scopes):
            answer = await world.admin.call("POST", "/api-keys", {"name": "x", "scopes": scopes})
            assert (answer.status, answer.body["error"]["details"]["field"]) == (400, field)


async def test_nobody_gives_what_they_do_not_have(world: World) -> None:
    lead, user = await world.person("lead", roles=("lead", "user")), await world.person("user")
    refused = await lead.call("POST", "/api-keys", {"name": "x", "scopes": ["incidents.list", "people.write"]})
    assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "scopes.1")
    assert "people.write" in refused.body["error"]["message"]
    assert (await user.call("POST", "/api-keys", {"name": "x", "scopes": ["incidents.list"]})).status == 403
    body = {"name": "x", "scopes": ["incidents.list"], "teamId": str(uuid4())}
    assert (await lead.call("POST", "/api-keys", body)).status == 403
    unknown = await world.admin.call("POST", "/api-keys", body)
    assert (unknown.status, unknown.body["error"]["details"]["field"]) == (400, "teamId")


async def test_a_key_that_is_revoked_is_refused_and_others_are_not(world: World) -> None:
    gone, stays = await _make(world, world.admin, READS), await _make(world, world.admin, READS)
    assert [(await _asks(world, one["key"])).status for one in (gone, stays)] == [200, 200]
    assert (await world.admin.call("DELETE", f"/api-keys/{gone['id']}")).status == 200
    await _becomes(world, gone["key"], 401)
    assert (await _asks(world, stays["key"])).status == 200
    assert (await world.admin.call("GET", f"/api-keys/{gone['id']}")).status == 404
    listed = (await world.admin.call("GET", "/api-keys")).data["apiKeys"]
    assert [one["id"] for one in listed] == [stays["id"]]


async def test_a_key_outlives_its_makers_password_and_rests_while_they_are_deactivated(world: World) -> None:
    lead = await world.person("lead", roles=("lead", "user"))
    made = await _make(world, lead, READS)
    body = {"currentPassword": PASSWORD, "newPassword": "Another-Horse-9-Charger"}
    assert (await lead.call("POST", "/auth/password/change", body)).status == 200
    await world.settle()
    assert (await _asks(world, made["key"])).status == 200
    person = f"/users/{lead.user_id}"
    assert (await world.admin.call("POST", f"{person}/deactivate")).status == 200
    await _becomes(world, made["key"], 401)
    assert (await world.admin.call("POST", f"{person}/reactivate")).status == 200
    await world.settle()
    world.clock.advance(minutes=1)  # for which a key that was refused is not asked about again
    await _becomes(world, made["key"], 200)


async def test_a_key_ends_to_the_second(world: World, told: Told) -> None:
    ends = world.clock.now() + timedelta(seconds=90)
    made = await _make(world, world.admin, READS, expiresAt=ends.isoformat())
    assert (await _asks(world, made["key"])).status == 200
    world.clock.advance(seconds=89)
    assert (await _asks(world, made["key"])).status == 200
    world.clock.advance(seconds=1)
    over = await _asks(world, made["key"])
    assert (over.status, over.body["error"]["message"]) == (401, "The API key has expired.")
    told(Attack.KEY_EXPIRED, "401 UNAUTHENTICATED")
    renewed = await world.admin.call("PATCH", f"/api-keys/{made['id']}", {"expiresAt": None})
    assert renewed.status == 409, "what is over stays so"
    past = {"name": "x", "scopes": READS, "expiresAt": world.clock.now().isoformat()}
    assert (await world.admin.call("POST", "/api-keys", past)).status == 400


async def test_two_secrets_are_live_and_one_goes_without_the_other(world: World) -> None:
    made = await _make(world, world.admin, READS)
    path = f"/api-keys/{made['id']}/secrets"
    second = (await world.admin.call("POST", path)).data["secret"]
    assert [(await _asks(world, key)).status for key in (made["key"], second["key"])] == [200, 200]
    third = await world.admin.call("POST", path)
    assert third.status == 409
    first, other = third.body["error"]["details"]["secrets"]
    assert (first["prefix"], other["id"]) == (made["prefix"], second["id"])
    assert (await world.admin.call("DELETE", f"{path}/{first['id']}")).status == 200
    await _becomes(world, made["key"], 401)
    assert (await _asks(world, second["key"])).status == 200
    assert (await world.admin.call("DELETE", f"{path}/{first['id']}")).status == 404
    assert (await world.admin.call("DELETE", f"{path}/{second['id']}")).status == 409, "the last one"
    shown = (await world.admin.call("GET", f"/api-keys/{made['id']}")).data["apiKey"]
    assert (shown["prefix"], len(shown["secrets"])) == (second["prefix"], 1)


@pytest.mark.services(*SERVICES)
async def test_scopes_are_only_taken_away_and_are_gone_at_once(world: World) -> None:
    made = await _make(world, world.admin, [*READS, "policies.read"])
    path = f"/api-keys/{made['id']}"
    assert (await _asks(world, made["key"], "/escalation/policies")).status == 200
    more = await world.admin.call("PATCH", path, {"scopes": [*READS, "policies.write"]})
    assert (more.status, more.body["error"]["details"]["field"]) == (400, "scopes.2")
    stale = await world.admin.call("PATCH", path, {"scopes": READS}, **{"If-Match": '"1"'})
    assert stale.status == 412
    less = await world.admin.call("PATCH", path, {"scopes": READS, "name": "Reads"}, **{"If-Match": '"2"'})
    assert (less.status, less.data["apiKey"]["name"], less.data["apiKey"]["version"]) == (200, "Reads", 3)
    await _becomes(world, made["key"], 403, "/escalation/policies")
    assert (await _asks(world, made["key"])).status == 200


async def test_a_key_has_no_more_rights_than_its_maker_has_now(world: World, told: Told) -> None:
    ana = await world.person("ana", roles=("admin", "user"))
    made = await _make(world, ana, ["incidents.list", "people.write"])
    assert [(await _asks(world, made["key"], path)).status for path in ("/incidents", "/invites")] == [200, 200]
    path = f"/users/{ana.user_id}"
    assert (await world.admin.call("PATCH", path, {"roles": ["user"]})).status == 200
    await _becomes(world, made["key"], 403, "/invites")
    assert (await _asks(world, made["key"])).status == 200, "what she still may, it may"
    assert (await world.admin.call("POST", f"{path}/deactivate")).status == 200
    await _becomes(world, made["key"], 401)
    told(Attack.KEY_ORPHAN, "401 UNAUTHENTICATED")
    assert "maker" in (await _asks(world, made["key"])).body["error"]["message"]
    assert (await world.admin.call("POST", f"{path}/reactivate")).status == 200
    world.clock.advance(seconds=61)
    assert (await _asks(world, made["key"])).status == 200


@pytest.mark.services(*SERVICES)
async def test_a_key_of_a_team_acts_on_that_team_alone_and_ends_with_the_membership(world: World, told: Told) -> None:
    ana = await world.person("ana")
    team, other = await _team(world, manager=ana), await _team(world, manager=ana)
    made = await _make(world, ana, ["schedules.read", "schedules.write"], teamId=team)
    body = {"timezone": "UTC", "layers": []}

    async def makes(name: str, of: str | None) -> int:
        where = {} if of is None else {"teamId": of}
        return (await _asks(world, made["key"], "/on-call/schedules", "POST", {"name": name, **body, **where})).status

    assert await makes("Ours", team) == 201
    assert await makes("Theirs", other) == 403, "she manages that one too; the key does not"
    assert await makes("Everybody's", None) == 403
    told(Attack.KEY_TEAM, "403 FORBIDDEN")
    await _joins(world, team, ana, "member")

    async def again() -> int:
        return await makes("Ours too", team)

    assert await world.eventually(again, lambda status: status != 201, "that she manages it no longer") == 403
    gone = await world.admin.call("DELETE", f"/teams/{team}")
    assert gone.status == 409
    assert "Deploys" in gone.body["error"]["message"]


async def test_a_key_is_not_its_maker_where_people_see_more_of_themselves(world: World) -> None:
    ana = await world.person("ana")
    assert (await ana.call("PATCH", "/users/me", {"phone": "+4930123456"})).status == 200
    path = f"/users/{ana.user_id}"
    await world.admin.call("PATCH", path, {"roles": ["lead"]})
    await ana.sign_in()
    few, more = [(await _make(world, ana, ["people.read", *own]))["key"] for own in ([], ["people.contact"])]
    assert (await _asks(world, few, path)).data["user"]["phone"] is None
    assert {user["phone"] for user in (await _asks(world, few, "/users")).data["users"]} == {None}
    assert (await _asks(world, more, path)).data["user"]["phone"] == "+4930123456"


@pytest.mark.services(*SERVICES)
async def test_what_a_key_has_made_names_the_key_and_no_person(world: World) -> None:
    made = await _make(world, world.admin, ["schedules.write", "schedules.read", "schedules.cover", "policies.write"])
    body = {"name": "Nights", "timezone": "UTC", "layers": []}
    schedule = (await _asks(world, made["key"], "/on-call/schedules", "POST", body)).data["schedule"]
    assert schedule["createdBy"] == made["id"]
    target = {"type": "user", "id": str(world.admin.user_id)}
    level = {"timeoutMinutes": 5, "targets": [target]}
    policy = await _asks(world, made["key"], "/escalation/policies", "POST", {"name": "Nights", "levels": [level]})
    assert policy.data["policy"]["createdBy"] == made["id"]
    start, end = (world.clock.now() + timedelta(days=days) for days in (1, 2))
    hours = {"startTime": start.isoformat(), "endTime": end.isoformat()}
    path = f"/on-call/schedules/{schedule['id']}/overrides"
    override = await _asks(world, made["key"], path, "POST", {"userId": str(world.admin.user_id)} | hours)
    (listed,) = (await _asks(world, made["key"], path)).data["overrides"]
    assert override.data["override"]["createdBy"] is listed["createdBy"] is None
    gone = await _asks(world, made["key"], f"{path}/{listed['id']}", "DELETE")
    assert gone.data["override"]["cancelledBy"] is None


@pytest.mark.services(*SERVICES)
async def test_a_team_takes_a_key_over_whose_maker_leaves(world: World) -> None:
    ana, bo, cem = await world.person("ana"), await world.person("bo"), await world.person("cem")
    team = await _team(world, manager=ana)
    await _joins(world, team, bo, "manager")
    await _team(world, manager=cem)
    made = await _make(world, ana, ["schedules.read", "schedules.write"], teamId=team)
    path = f"/api-keys/{made['id']}"
    assert (await cem.call("GET", path)).status == 404, "another team's"
    assert (await cem.call("DELETE", path)).status == 404
    assert (await cem.call("GET", "/api-keys")).data["apiKeys"] == []
    assert (await bo.call("POST", f"{path}/secrets")).status == 403, "whoever shows it would have her rights"
    assert (await world.admin.call("POST", f"/users/{ana.user_id}/deactivate")).status == 200
    await _becomes(world, made["key"], 401, "/on-call/schedules")

    assert (await bo.call("POST", f"{path}/take-over")).data["apiKey"]["ownerId"] is None
    second = (await bo.call("POST", f"{path}/secrets")).data["secret"]["key"]
    body = {"name": "Ours", "timezone": "UTC", "layers": [], "teamId": team}
    assert (await _asks(world, second, "/on-call/schedules", "POST", body)).status == 201
    assert (await _asks(world, second, "/on-call/schedules", "POST", body | {"teamId": None})).status == 403
    world.clock.advance(seconds=61)
    assert (await _asks(world, made["key"], "/on-call/schedules")).status == 200, "the machine never stopped for long"

    await world.settle()
    assert differences(await rebuilt(world, "auth", swap=False)) == {}, "the log says the same"

    alone = await _make(world, world.admin, READS)
    assert (await world.admin.call("POST", f"/api-keys/{alone['id']}/take-over")).status == 409


async def test_a_lead_gets_no_admins_rights_by_an_admins_key(world: World) -> None:
    lead = await world.person("lead", roles=("lead", "user"))
    made = await _make(world, world.admin, ["people.write"])
    path = f"/api-keys/{made['id']}"
    assert (await lead.call("POST", f"{path}/secrets")).status == 403
    assert (await lead.call("DELETE", path)).status == 200, "but may end it"


async def test_a_key_makes_nobody_more_than_everybody_is(world: World) -> None:
    ana = await world.person("ana")
    key = (await _make(world, world.admin, ["people.write", "people.read"]))["key"]
    known = (await world.admin.call("GET", "/users")).data["users"]
    invite = (await world.admin.call("POST", "/invites", {"email": "di@pager.test", "roles": ["lead"]})).data["invite"]
    person = {"email": "ed@pager.test", "password": PASSWORD, "firstName": "Ed", "lastName": "Ek"}
    path = f"/users/{ana.user_id}"
    for role in ("admin", "lead"):
        for method, where, body in (
            ("PATCH", path, {}),
            ("POST", "/users", person),
            ("POST", "/invites", {"email": person["email"]}),
        ):
            answer = await _asks(world, key, where, method, body | {"roles": ["user", role]})
            assert answer.status == 403, (where, answer.body)
    shown = await _asks(world, key, f"/invites/{invite['id']}/resend", "POST")
    assert (shown.status, "data" in shown.body) == (403, False), "its link may be in the answer"
    assert (await _asks(world, key, "/users")).data["users"] == [user | {"phone": None} for user in known]
    assert (await _asks(world, key, path, "PATCH", {"firstName": "Anna", "roles": ["user"]})).status == 200
    assert (await _asks(world, key, "/users", "POST", person)).status == 201


async def test_a_repeat_shows_no_key_again(world: World) -> None:
    once, body = {"Idempotency-Key": "once"}, {"name": "Deploys", "scopes": READS}
    first, again = [(await world.admin.call("POST", "/api-keys", body, **once)).data["apiKey"] for _ in range(2)]
    assert first["id"] == again["id"]
    assert first["key"]
    assert again["key"] is None
    path = f"/api-keys/{first['id']}/secrets"
    first, again = [(await world.admin.call("POST", path, **once)).data["secret"] for _ in range(2)]
    assert first["id"] == again["id"]
    assert first["key"]
    assert again["key"] is None


async def test_what_is_no_key_is_refused_without_asking_anybody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    good = (await _make(world, world.admin, READS))["key"]
    changed = good[:-1] + ("0" if good[-1] != "0" else "1")
    asked = []
    front = world.gateway.front

    async def query(*given: Any) -> Any:
        asked.append(given[1])
        raise AssertionError("nobody is asked")

    monkeypatch.setattr(front.forwarder, "query", query)
    for wrong in (changed, "pgr_", good + "0", good.lower(), "pgr_" + "0" * 6000):
        answer = await _asks(world, wrong)
        assert (answer.status, answer.body["error"]["code"]) == (401, "UNAUTHENTICATED")
        assert wrong not in str(answer.body)
    monkeypatch.undo()
    assert (await world.http("GET", f"/incidents?key={good}")).status == 401
    assert (await world.http("GET", f"/incidents?access_token={good}", token=good)).status == 400
    assert (await _asks(world, new_key())).status == 401


async def test_a_thousand_a_minute_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(limits.SIZES, Limit.GENERAL, Size(3, 60, "ask three times a minute"))
    world.gateway.front.limits.enabled = True
    busy, other = await _make(world, world.admin, READS), await _make(world, world.admin, READS)
    answers = [await _asks(world, busy["key"]) for _ in range(4)]
    assert [a.status for a in answers] == [200, 200, 200, 429]
    assert [a.headers["X-RateLimit-Remaining"] for a in answers] == ["2", "1", "0", "0"]
    assert answers[3].body["error"]["code"] == "RATE_LIMITED"
    assert answers[3].headers["Retry-After"] == "20"
    assert (await _asks(world, other["key"])).status == 200
    world.clock.advance(seconds=20)
    assert (await _asks(world, busy["key"])).status == 200


async def test_a_team_has_so_many_keys_of_its_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.auth.api_keys.MOST_KEYS", 1)
    ana = await world.person("ana")
    team = await _team(world, manager=ana)
    first = await _make(world, ana, ["schedules.read"], teamId=team)
    assert (await ana.call("POST", f"/api-keys/{first['id']}/take-over")).status == 200
    assert (await ana.call("POST", f"/api-keys/{first['id']}/take-over")).status == 200, "said again"
    second = await _make(world, ana, ["schedules.read"], teamId=team)
    refused = await ana.call("POST", f"/api-keys/{second['id']}/take-over")
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    assert "hundred API keys of its own" in refused.body["error"]["message"]
    assert (await ana.call("DELETE", f"/api-keys/{first['id']}")).status == 200
    assert (await ana.call("POST", f"/api-keys/{second['id']}/take-over")).status == 200
