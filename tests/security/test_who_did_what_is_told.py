"""`GET /audit` tells admins who did what, and from where: what was changed, who was let in, and who was not."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from libs.chassis.store.work import Work
from libs.contracts.audit import AuditPlace, UnknownAccountRefused
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, rebuilt
from tests.phone import PASSWORD, Answer, Phone
from tests.servers import Servers
from tests.world import World

HOME, STRANGER = "203.0.113.9", "198.51.100.7"
AGENT = "Pager/2.1 (iPhone)"


@pytest.fixture
async def world(servers: Servers) -> AsyncIterator[World]:
    """Behind a proxy that is believed: the tests say where a request comes from."""
    async with World(servers, trusted_proxies="127.0.0.1") as made:
        yield made


def at(address: str) -> dict[str, str]:
    return {"X-Forwarded-For": address, "User-Agent": AGENT}


async def entries(world: World, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.admin.call("GET", f"/audit?limit=100{query}")).data["entries"]
    return found


async def told(world: World, action: str, query: str = "") -> dict[str, Any]:
    """The newest entry of this action, once there is one."""

    async def look() -> list[dict[str, Any]]:
        return [entry for entry in await entries(world, query) if entry["action"] == action]

    found: list[dict[str, Any]] = await world.eventually(look, bool, f"{action} is told")
    return found[0]


async def sign_in(world: World, email: str, password: str = PASSWORD, address: str = STRANGER) -> Answer:
    body = {"email": email, "password": password, "deviceId": f"of {address}"}
    return await world.http("POST", "/auth/login", body, **at(address))


def where(entry: dict[str, Any]) -> tuple[str | None, str | None]:
    return entry["ipAddress"], entry["userAgent"]


async def test_what_people_change_is_told_with_before_and_after(world: World) -> None:
    ana = await world.person("ana")
    changed = await world.admin.call(
        "PATCH", f"/users/{ana.user_id}", {"roles": ["lead"], "firstName": "Anna"}, **at(HOME)
    )
    assert changed.status == 200, changed.body
    roles = await told(world, "RolesChanged", f"&resource=users/{ana.user_id}")
    assert (roles["old"], roles["new"]) == ({"roles": ["user"]}, {"roles": ["lead"]})
    assert roles["actor"] == {"kind": "user", "id": str(world.admin.user_id)}
    assert where(roles) == (HOME, AGENT)
    profile = await told(world, "UserChanged", f"&resource=users/{ana.user_id}")
    assert (profile["old"], profile["new"]) == ({"firstName": "Ana"}, {"firstName": "Anna"})
    assert (await world.admin.call("POST", f"/users/{ana.user_id}/deactivate", **at(STRANGER))).status == 200
    assert where(await told(world, "UserDeactivated")) == (STRANGER, AGENT)


async def test_what_other_services_change_is_in_the_same_list(world: World) -> None:
    integration = (await world.admin.call("POST", "/integrations", {"name": "one"}, **at(HOME))).data["integration"]
    await world.admin.call("PATCH", f"/integrations/{integration['id']}", {"name": "two"}, **at(STRANGER))
    level = {"timeoutMinutes": 5, "targets": [{"type": "user", "id": str(world.admin.user_id)}]}
    policy = (await world.admin.call("POST", "/escalation/policies", {"name": "p", "levels": [level]})).data["policy"]
    change = {"levels": [level | {"timeoutMinutes": 7}]}
    await world.admin.call("PATCH", f"/escalation/policies/{policy['id']}", change, **at(HOME))
    layer = {"rotationType": "daily", "start": "2026-10-19T09:00", "participants": [str(world.admin.user_id)]}
    body = {"name": "s", "timezone": "UTC", "layers": [layer]}
    schedule = (await world.admin.call("POST", "/on-call/schedules", body)).data["schedule"]
    await world.admin.call("DELETE", f"/on-call/schedules/{schedule['id']}", **at(HOME))

    (one,) = [e for e in await entries(world, f"&resource=integrations/{integration['id']}") if e["old"]]
    assert (one["action"], one["old"], one["new"]) == ("IntegrationChanged", {"name": "one"}, {"name": "two"})
    assert where(one) == (STRANGER, AGENT)
    two = await told(world, "PolicyChanged", f"&resource=policies/{policy['id']}")
    assert two["old"].keys() == two["new"].keys() == {"levels"}
    assert (two["old"]["levels"][0]["timeoutMinutes"], two["new"]["levels"][0]["timeoutMinutes"]) == (5, 7)
    gone = await told(world, "ScheduleDeleted", "&resource=schedules")
    assert (gone["old"]["name"], gone["new"], gone["resource"]) == ("s", None, f"schedules/{schedule['id']}")

    everything = await entries(world, f"&actorId={world.admin.user_id}")
    assert {e["resource"].partition("/")[0] for e in everything} >= {"integrations", "policies", "schedules", "users"}
    assert [e["at"] for e in everything] == sorted((e["at"] for e in everything), reverse=True)
    for service in ("auth", "oncall", "escalation", "incidents"):
        assert differences(await rebuilt(world, service, swap=False)) == {}, "the log says the same"


async def test_where_somebody_was_is_in_no_log_in_the_clear(world: World) -> None:
    ana = await world.person("ana")
    for email, password in ((ana.email, PASSWORD), (ana.email, "wrong"), ("nobody@pager.test", "wrong")):
        body = {"email": email, "password": password, "deviceId": "phone"}
        await world.http("POST", "/auth/login", body, **at(HOME))
    await world.admin.call("PATCH", f"/users/{ana.user_id}", {"roles": ["lead"]}, **at(HOME))
    await world.admin.call("POST", "/integrations", {"name": "one"}, **at(HOME))
    level = {"timeoutMinutes": 5, "targets": [{"type": "user", "id": str(world.admin.user_id)}]}
    await world.admin.call("POST", "/escalation/policies", {"name": "p", "levels": [level]}, **at(HOME))
    layer = {"rotationType": "daily", "start": "2026-10-19T09:00", "participants": [str(world.admin.user_id)]}
    await world.admin.call(
        "POST", "/on-call/schedules", {"name": "s", "timezone": "UTC", "layers": [layer]}, **at(HOME)
    )
    await told(world, "UnknownAccountRefused")
    for service in ("auth", "oncall", "escalation", "incidents"):
        read = text(f"SELECT state FROM {service}.stored_events")  # noqa: S608 - a name of ours
        rows = await world.services[service].runtime.work.read(partial(Work.fetch, statement=read))
        raw = b"".join(bytes(row["state"]) for row in rows)
        assert b"ActedFrom" in raw, service
        assert HOME.encode() not in raw, service
        assert AGENT.encode() not in raw, service
        shown = [e for e in await entries(world) if where(e) == (HOME, AGENT) and e["actor"]["kind"] == "user"]
    assert {e["resource"].partition("/")[0] for e in shown} == {"users", "integrations", "policies", "schedules"}


async def test_pages_go_on_where_the_last_one_ended_whoever_knows_of_what(world: World) -> None:
    for number in range(6):
        await world.admin.call("POST", "/integrations", {"name": f"i{number}"})
        await world.person(f"p{number}")
        if number % 2:
            await world.advance(seconds=1)
    whole = await entries(world)
    paged: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = (await world.admin.call("GET", f"/audit?limit=3{cursor}")).data
        paged += answer["entries"]
        if answer["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['nextCursor']}"
        assert len(answer["entries"]) == 3
    assert [e["eventId"] for e in paged if e["action"] != "SignedIn"] == [
        e["eventId"] for e in whole if e["action"] != "SignedIn"
    ]
    middle = whole[len(whole) // 2]["at"]
    later, earlier = await entries(world, f"&from={middle}"), await entries(world, f"&to={middle}")
    assert {e["eventId"] for e in later}.isdisjoint(e["eventId"] for e in earlier)
    assert len(later) + len(earlier) >= len(whole)


async def test_a_place_that_nobody_was_told_is_none(world: World) -> None:
    for number in range(3):
        await world.admin.call("POST", "/integrations", {"name": f"i{number}"})
    await world.person("ana")
    told_ = (await world.admin.call("GET", "/audit?limit=1&resource=integrations")).data
    service, seal, place = (cursor := told_["nextCursor"]).split(".")
    of_people = (await world.admin.call("GET", "/audit?limit=1&resource=users")).data["nextCursor"].split(".")
    entry = await entries(world, "&resource=integrations")
    elsewhere = AuditPlace(at=entry[-1]["at"], event_id=entry[-1]["eventId"]).to_json()
    forged = [
        urlsafe_b64encode(elsewhere).decode().rstrip("="),
        ".".join((service, seal, urlsafe_b64encode(elsewhere).decode().rstrip("="))),
        ".".join((service, seal[:-2] + "AA", place)),
        ".".join((service, "", place)),
        ".".join((service, seal, place + "=")),
        ".".join(("auth", seal, place)),
        ".".join(("nobody", seal, place)),
        ".".join((service, of_people[1], place)),
        ".".join(of_people),
        f"{service}.{seal}.%00",
        f"{cursor}.",
    ]
    for one in forged:
        refused = await world.admin.call("GET", f"/audit?resource=integrations&cursor={one}")
        assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "cursor"), one
    assert (await world.admin.call("GET", f"/audit?resource=integrations&cursor={cursor}")).status == 200


async def test_only_admins_read_it_and_nonsense_is_refused(world: World) -> None:
    bo = await world.person("bo", roles=("lead",))
    assert (await bo.call("GET", "/audit")).status == 403
    assert (await world.http("GET", "/audit")).status == 401
    long = f"resource=users/{'a' * 300}"
    for query in ("cursor=x", "resource=passwords", long, "actorId=ana", "from=yesterday", "limit=101", "page=2"):
        assert (await world.admin.call("GET", f"/audit?{query}")).status == 400, query
    assert await entries(world, f"&actorId={uuid4()}") == []


async def test_who_was_let_in_and_who_was_not_is_told_with_their_place(world: World) -> None:
    ana = await world.person("ana")
    world.clock.advance(seconds=1)
    assert (await sign_in(world, ana.email, address=HOME)).status == 200
    let_in = await told(world, "SignedIn", f"&actorId={ana.user_id}")
    assert (where(let_in), let_in["new"]["deviceId"]) == ((HOME, AGENT), f"of {HOME}")
    assert (await sign_in(world, ana.email, "wrong")).status == 401
    refused = await told(world, "SignInRefused", f"&resource=users/{ana.user_id}")
    assert (where(refused), refused["actor"]["kind"]) == ((STRANGER, AGENT), "service")
    assert refused["new"] == {"reason": "wrong password", "times": 1}


async def test_where_an_invite_and_a_reset_were_used_is_told(world: World) -> None:
    invited = await world.admin.call("POST", "/invites", {"email": "eva@pager.test"})
    token = invited.data["invite"]["link"]["url"].partition("#")[2]
    body = {"inviteToken": token, "password": PASSWORD, "firstName": "Eva", "lastName": "Ek"}
    made = await world.http("POST", "/auth/register", body, **at(HOME))
    assert made.status == 201, made.body
    person = made.data["user"]["id"]
    assert where(await told(world, "UserRegistered", f"&resource=users/{person}")) == (HOME, AGENT)
    link = (await world.admin.call("POST", f"/users/{person}/password/reset-link")).data["link"]["url"]
    body = {"token": link.partition("#")[2], "newPassword": "Another-Battery-8-Staple"}
    assert (await world.http("POST", "/auth/password/reset", body, **at(STRANGER))).status == 200
    assert where(await told(world, "PasswordReset", f"&resource=users/{person}")) == (STRANGER, AGENT)


async def test_an_address_that_nobody_has_is_told_and_cannot_be_read(world: World) -> None:
    for email in ("nobody@pager.test", "NOBODY@pager.test", "other@pager.test"):
        assert (await sign_in(world, email, "wrong")).status == 401

    async def look() -> list[dict[str, Any]]:
        return [e for e in await entries(world, "&resource=accounts") if e["action"] == "UnknownAccountRefused"]

    found = await world.eventually(look, lambda found: len(found) == 3, "three refusals")
    assert len({e["resource"] for e in found}) == 2, "one address is one text, however it is spelt"
    assert where(found[0]) == (STRANGER, AGENT)
    events = await world.log("auth", "UnknownAccountRefused")
    assert all("nobody" not in str(e.data) for e in events)
    assert {e.data.month for e in events if isinstance(e.data, UnknownAccountRefused)} == {f"{world.clock.now():%Y-%m}"}


async def test_from_where_an_address_that_nobody_has_was_tried_is_unreadable_after_its_month(world: World) -> None:
    world.clock.advance(seconds=1)
    month = world.clock.now()
    assert (await sign_in(world, "nobody@pager.test", "wrong")).status == 401
    await told(world, "UnknownAccountRefused")
    next_month = (month.replace(day=1) + timedelta(days=32)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = next_month + timedelta(days=90)

    async def shown() -> tuple[str | None, str | None]:
        found = [e for e in await entries(world, "&resource=accounts") if e["action"] == "UnknownAccountRefused"]
        return where(found[-1])

    world.clock.advance(seconds=(end - world.clock.now()).total_seconds() - 1)
    assert await shown() == (STRANGER, AGENT)
    world.clock.advance(minutes=61)  # auth looks once an hour
    await world.eventually(shown, lambda found: found == ("[erased]",) * 2, "its key is gone")


@pytest.mark.parametrize("known", [True, False], ids=["somebody", "nobody"])
async def test_a_flood_of_refusals_is_counted_and_told_seldom(world: World, known: bool) -> None:
    email = (await world.person("ana")).email if known else "nobody@pager.test"
    for _ in range(30):
        assert (await sign_in(world, email, "wrong")).status in (401, 429)
        world.clock.advance(seconds=13)  # the gateway's brake lets five a minute through
    kind = "SignInRefused" if known else "UnknownAccountRefused"

    async def look() -> int:
        found = [e for e in await entries(world) if e["action"] == kind and e["new"]["reason"] == "locked out"]
        return max((e["new"]["times"] for e in found), default=0)

    await world.eventually(look, lambda times: times >= 20, "twenty are told")
    told_of = [e.data for e in await world.log("auth", kind)]
    assert sorted(e.times for e in told_of if e.reason == "wrong password") == [1, 2, 5]
    assert sorted(e.times for e in told_of if e.reason == "locked out") == [1, 2, 5, 10, 20]
    if known:
        lockout = await told(world, "LockoutBegun")
        assert where(lockout) == (STRANGER, AGENT)


async def test_a_refresh_token_that_is_used_twice_is_told_with_the_place_of_its_second_use(world: World) -> None:
    ana = await world.person("ana")
    tokens = (await sign_in(world, ana.email, address=HOME)).data["tokens"]

    async def refresh(token: str, address: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} | at(address)
        return await world.http("POST", "/auth/refresh", {"deviceId": f"of {HOME}"}, **headers)

    second = (await refresh(tokens["refreshToken"], HOME)).data["tokens"]
    assert (await refresh(second["refreshToken"], HOME)).status == 200
    world.clock.advance(seconds=11)
    assert (await refresh(tokens["refreshToken"], STRANGER)).status == 401
    reused = await told(world, "RefreshTokenReused", f"&resource=users/{ana.user_id}")
    assert where(reused) == (STRANGER, AGENT)
    assert reused["new"]["reason"] == "refresh token reused"


async def test_a_forged_address_helps_nobody_past_brake_and_lockout_or_into_the_audit(servers: Servers) -> None:
    async with World(servers, ("auth",)) as alone:
        ana = await alone.person("ana")
        guess = {"email": ana.email, "password": "wrong", "deviceId": "d"}

        async def tried(number: int) -> Answer:
            return await alone.http("POST", "/auth/login", guess, **at(f"198.51.100.{number}"))

        assert [(await tried(number)).status for number in range(5)] == [401] * 5
        braked = await tried(5)
        assert (braked.status, "from here: wait a moment" in braked.body["error"]["message"]) == (429, True)
        alone.clock.advance(seconds=61)
        locked = await tried(6)
        assert (locked.status, "for this account from here" in locked.body["error"]["message"]) == (429, True)
        (lockout,) = [event.data for event in await alone.log("auth", "LockoutBegun")]
        assert lockout.ip_address == "127.0.0.1"
        assert {event.data.ip_address for event in await alone.log("auth", "SignInRefused")} == {"127.0.0.1"}


async def test_of_a_trusted_proxy_only_what_it_has_seen_itself_is_believed(world: World) -> None:
    """Whatever stands before the last address came with the request."""
    ana = await world.person("ana")
    world.clock.advance(seconds=1)
    assert (await sign_in(world, ana.email, address=f"{HOME}, {STRANGER}")).status == 200
    assert where(await told(world, "SignedIn", f"&actorId={ana.user_id}")) == (STRANGER, AGENT)


async def test_a_program_that_names_itself_badly_is_told_in_printable_letters(world: World) -> None:
    ana: Phone = await world.person("ana")
    body = {"email": ana.email, "password": PASSWORD, "deviceId": "d"}
    for agent, shown in (("x" * 5000, "x" * 200), ("Pag\u00e9r\t1", "Pag??r?1")):
        world.clock.advance(seconds=1)
        answer = await world.http("POST", "/auth/login", body, **at(HOME) | {"User-Agent": agent})
        assert answer.status == 200, answer.body
        assert (await told(world, "SignedIn", f"&actorId={ana.user_id}"))["userAgent"] == shown


async def accesses(world: World, query: str = "", least: int = 1) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        await world.gateway.front.access.tell()
        return await entries(world, f"&resource=requests{query}")

    found: list[dict[str, Any]] = await world.eventually(look, lambda found: len(found) >= least, "requests are kept")
    return found


async def test_each_request_is_in_the_access_log_and_no_secret_is(world: World) -> None:
    ana = await world.person("ana")
    world.clock.advance(seconds=1)
    token = "a-secret-token-of-somebody"
    await ana.call("GET", f"/incidents?metadata.key={token}", **at(HOME))
    await ana.call("GET", f"/incidents/{uuid4()}", **at(HOME), **{"X-Request-ID": "mine"})
    await world.http("POST", "/password-of-mine", {"password": token}, **at(STRANGER))
    kept = await accesses(world, f"&actorId={ana.user_id}&from={world.clock.now():%Y-%m-%dT%H:%M:%SZ}", least=2)
    assert {(e["action"], e["new"]["status"]) for e in kept} >= {
        ("GET /api/v1/incidents", 200),
        ("GET /api/v1/incidents/{id}", 404),
    }
    assert {where(e) for e in kept} == {(HOME, AGENT)}
    (one,) = [e for e in kept if e["resource"] == "requests/mine"]
    assert one["new"]["status"] == 404
    everything = await accesses(world)
    strangers = [e for e in everything if where(e) == (STRANGER, AGENT)]
    assert [(e["action"], e["actor"]["kind"]) for e in strangers] == [("POST unmatched", "service")]
    assert token not in str(everything)
    assert "password-of-mine" not in str(everything)
    assert not [e for e in everything if "health" in e["action"]]


async def test_a_request_is_kept_for_ninety_days(world: World) -> None:
    await world.admin.call("GET", "/incidents", **at(HOME))
    assert any(where(e) == (HOME, AGENT) for e in await accesses(world))
    auth = world.services["auth"]
    for days, is_kept in ((89, True), (2, False)):
        world.clock.advance(minutes=days * 24 * 60)
        for rule in auth._pruning().rules:
            await auth._pruning().prune(rule)
        assert any(where(e) == (HOME, AGENT) for e in await accesses(world)) is is_kept


async def test_what_somebody_may_not_do_is_told_and_counted(world: World) -> None:
    bo = await world.person("bo")
    for _ in range(7):
        assert (await bo.call("GET", "/audit", **at(STRANGER))).status == 403
    await accesses(world)

    async def look() -> list[int]:
        found = await entries(world, f"&resource=users/{bo.user_id}")
        return sorted(e["new"]["times"] for e in found if e["action"] == "AccessRefused")

    await world.eventually(look, lambda times: times == [1, 2, 5], "seven refusals are three entries")
    refused = await told(world, "AccessRefused")
    assert (where(refused), refused["actor"]) == ((STRANGER, AGENT), {"kind": "user", "id": str(bo.user_id)})
    assert (refused["new"]["method"], refused["new"]["route"]) == ("GET", "/api/v1/audit")


async def test_what_somebody_does_not_see_is_told_and_what_is_not_there_is_not(world: World) -> None:
    bo = await world.person("bo")
    shop = (await world.admin.call("POST", "/teams", {"name": "Shop"})).data["team"]["id"]
    made = await world.admin.call("POST", "/integrations", {"name": "Shop", "teamId": shop})
    hidden = await bo.call("GET", f"/integrations/{made.data['integration']['id']}", **at(STRANGER))
    missing = await bo.call("GET", f"/integrations/{uuid4()}", **at(STRANGER))
    assert (hidden.status, hidden.body["error"]) == (missing.status, missing.body["error"]), "they are not told which"
    await world.gateway.front.access.tell()
    refused = await told(world, "AccessRefused")
    assert (where(refused), refused["actor"]) == ((STRANGER, AGENT), {"kind": "user", "id": str(bo.user_id)})
    assert (refused["new"]["times"], refused["new"]["route"]) == (1, "/api/v1/integrations/{id}")
    assert len(await world.log("auth", "AccessRefused")) == 1


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/auth/register", {"inviteToken": "invite_x", "firstName": "E", "lastName": "E"}, "invite link refused"),
        ("/auth/password/reset", {"token": "reset_x"}, "reset link refused"),
        ("/auth/email/verify", {"token": "verify_x"}, "verify link refused"),
    ],
)
async def test_a_link_that_is_not_good_is_told(world: World, path: str, body: dict[str, str], reason: str) -> None:
    password = {"/auth/register": {"password": PASSWORD}, "/auth/password/reset": {"newPassword": PASSWORD}}
    for _ in range(2):
        answer = await world.http("POST", path, body | password.get(path, {}), **at(STRANGER))
        assert (answer.status, answer.body["error"]["code"]) == (400, "VALIDATION_ERROR"), answer.body
    entry = await told(world, "UnknownAccountRefused")
    assert (entry["new"]["reason"], where(entry)) == (reason, (STRANGER, AGENT))
    assert str(body.get("token", body.get("inviteToken"))) not in str(await entries(world))


async def test_without_an_access_log_what_was_forbidden_is_told_all_the_same(servers: Servers) -> None:
    async with World(servers, enable_audit_logging=False) as quiet:
        bo = await quiet.person("bo")
        assert (await bo.call("GET", "/audit")).status == 403
        await quiet.gateway.front.access.tell()
        await told(quiet, "AccessRefused")
        assert await entries(quiet, "&resource=requests") == []


async def test_where_an_api_key_is_used_from_is_told_and_each_of_its_requests_is_kept(world: World) -> None:
    wanted = {"name": "deploys", "scopes": ["incidents.list"]}
    made = (await world.admin.call("POST", "/api-keys", wanted, **at(HOME))).data["apiKey"]
    world.clock.advance(seconds=1)
    for _ in range(3):
        assert (await world.http("GET", "/incidents", token=made["key"], **at(STRANGER))).status == 200
    assert (await world.http("GET", "/audit", token=made["key"], **at(STRANGER))).status == 403
    kept = await accesses(world, f"&actorId={world.admin.user_id}")
    by_key = [e for e in kept if e["actor"] == {"kind": "key", "id": made["id"]}]
    assert [e["new"]["status"] for e in by_key] == [403, 200, 200, 200]
    used = await told(world, "ApiKeyUsed", f"&resource=api-keys/{made['id']}")
    assert (where(used), used["actor"]) == ((STRANGER, AGENT), {"kind": "key", "id": made["id"]})
    refused = await told(world, "AccessRefused", f"&actorId={made['id']}")
    assert (where(refused), refused["new"]["route"]) == ((STRANGER, AGENT), "/api/v1/audit")
    assert made["key"] not in str(await entries(world)) + str(kept)
    assert len(await world.log("auth", "ApiKeyUsed")) == 1
