"""What the HTTP API promises to apps and scripts: identity, roles, errors that help, and answers that stay true."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from tests.phone import PASSWORD, Answer
from tests.world import ADMIN, World


def _refused(answer: Answer, status: int, code: str, field: str | None = None) -> Answer:
    assert answer.status == status, answer.body
    assert answer.body["success"] is False
    assert answer.body["error"]["code"] == code
    if field is not None:
        assert answer.body["error"]["details"]["field"] == field, answer.body
        assert answer.body["error"]["message"].startswith(f"{field}: ")
    return answer


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


async def test_refresh_tokens_rotate_and_a_used_one_ends_the_stolen_session(world: World) -> None:
    ana = await world.person("ana", "ios")

    async def refresh(token: str, device: str = "ana-phone") -> Answer:
        return await world.http("POST", "/auth/refresh", {"deviceId": device}, token)

    first = ana.session["refreshToken"]
    _refused(await refresh(first, "mallorys-phone"), 401, "UNAUTHENTICATED")
    await ana.sign_in()
    first = ana.session["refreshToken"]
    renewed = await refresh(first)
    assert renewed.status == 200, renewed.body
    second = renewed.data["tokens"]["refreshToken"]
    assert second != first
    assert (await world.http("GET", "/users/me", token=renewed.data["tokens"]["accessToken"])).status == 200
    world.clock.advance(seconds=10)  # until then it may be a phone that did not hear the answer
    _refused(await refresh(first), 401, "UNAUTHENTICATED")
    _refused(await refresh(second), 401, "UNAUTHENTICATED")
    _refused(await refresh("nonsense"), 401, "UNAUTHENTICATED")
    for email, password in ((ADMIN, "wrong"), ("nobody@pager.test", PASSWORD)):
        body = {"email": email, "password": password, "deviceId": "x"}
        refused = _refused(await world.http("POST", "/auth/login", body), 401, "UNAUTHENTICATED")
        assert refused.body["error"]["message"] == "invalid email or password", "no word on which of the two"
    # An access token lives a quarter of an hour, and the phone keeps being paged after that.
    await ana.sign_in()
    world.clock.advance(minutes=15.1)
    _refused(await world.http("GET", "/users/me", token=ana.session["accessToken"]), 401, "UNAUTHENTICATED")
    _refused(await world.http("GET", "/users/me"), 401, "UNAUTHENTICATED")
    assert (await ana.call("GET", "/users/me")).data["user"]["email"] == "ana@pager.test"


async def test_people_may_do_what_their_role_allows_and_nothing_more(world: World) -> None:
    ana = await world.person("ana")
    lena = await world.person("lena", roles=("user", "lead"))
    person = {"email": "new@pager.test", "password": PASSWORD, "firstName": "N", "lastName": "P", "roles": ["user"]}
    level = {"timeoutMinutes": 5, "targets": [{"type": "role", "role": "lead"}]}
    policy = {"name": "Mine", "levels": [level]}
    schedule = {"name": "Nights", "timezone": "Europe/Berlin", "layers": []}
    for path, body in (
        ("/users", person),
        ("/escalation/policies", policy),
        ("/on-call/schedules", schedule),
        ("/integrations", {"name": "Shop"}),
    ):
        _refused(await ana.call("POST", path, body), 403, "FORBIDDEN")
        if path != "/users":
            assert (await lena.call("POST", path, body)).status == 201
    _refused(await lena.call("POST", "/users", person), 403, "FORBIDDEN")
    _refused(await ana.call("PATCH", f"/escalation/policies/{DEFAULT_POLICY_ID}", {"repeat": 0}), 403, "FORBIDDEN")
    _refused(await ana.call("PATCH", f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}", {"layers": []}), 403, "FORBIDDEN")
    now = world.clock.now()
    override = {"userId": str(lena.user_id), "startTime": _iso(now), "endTime": _iso(now + timedelta(hours=1))}
    path = f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}/overrides"
    _refused(await ana.call("POST", path, override), 403, "FORBIDDEN")
    mine = override | {"userId": str(ana.user_id)}
    _refused(await ana.call("POST", path, mine), 403, "FORBIDDEN")
    await world.on_call("lena", "ana")
    assert (await ana.call("POST", path, mine)).status == 201, "participants may take over a shift themselves"
    assert (await ana.call("POST", "/incidents", {"title": "anybody may"})).status == 201


async def test_a_fault_in_a_request_is_named_by_its_field(world: World) -> None:
    unknown = str(uuid4())
    target = {"type": "user", "id": unknown}
    cases: list[tuple[str, Any, str]] = [
        ("/incidents", {}, "title"),
        ("/incidents", {"title": ""}, "title"),
        ("/incidents", {"title": "x", "priority": "apocalyptic"}, "priority"),
        ("/incidents", {"title": "x", "prioritty": "low"}, "prioritty"),
        ("/incidents", {"title": "x", "escalationTimeoutMinutes": 0}, "escalationTimeoutMinutes"),
        ("/users", {"email": "nonsense", "password": PASSWORD, "firstName": "A", "lastName": "B"}, "email"),
        ("/users", {"email": "a@b.test", "password": "123", "firstName": "A", "lastName": "B"}, "password"),
        ("/escalation/policies", {"name": "x", "levels": []}, "levels"),
        (
            "/escalation/policies",
            {"name": "x", "levels": [{"timeoutMinutes": -1, "targets": [target]}]},
            "levels.0.timeoutMinutes",
        ),
        (
            "/escalation/policies",
            {"name": "x", "levels": [{"timeoutMinutes": 1, "targets": [target]}]},
            "levels.0.targets.0.id",
        ),
        ("/on-call/schedules", {"name": "x", "timezone": "Mars/Olympus"}, "timezone"),
        (
            "/on-call/schedules",
            {"name": "x", "layers": [{"start": "2026-01-05T09:00", "participants": [unknown]}]},
            "layers.0.participants.0",
        ),
        ("/auth/login", {"email": ADMIN, "password": PASSWORD}, "deviceId"),
    ]
    for path, body, field in cases:
        _refused(await world.admin.call("POST", path, body), 400, "VALIDATION_ERROR", field)
    for query, field in (
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("status=odd", "status"),
        ("stauts=x", "stauts"),
    ):
        _refused(await world.admin.call("GET", f"/incidents?{query}"), 400, "VALIDATION_ERROR", field)
    _refused(await world.admin.call("GET", "/incidents/not-an-id"), 400, "VALIDATION_ERROR", "id")


async def test_what_is_asked_of_nobody_is_not_found(world: World) -> None:
    made = await world.admin.call("POST", "/incidents", {"title": "x", "priority": "low"})
    await world.settle()  # nobody has a phone yet whom it could page
    ana = await world.person("ana", "ios")
    incident, nobody = made.data["incident"]["id"], uuid4()
    for path in (
        f"/incidents/{incident}/explain?userId={nobody}",
        f"/incidents/{nobody}/explain?userId={ana.user_id}",
        f"/notifications?incidentId={nobody}",
        f"/on-call?scheduleId={nobody}",
        f"/on-call/current?scheduleId={nobody}",
        f"/on-call/current?scheduleId={nobody}&at=2030-01-01T00:00:00Z",
    ):
        _refused(await ana.call("GET", path), 404, "NOT_FOUND")
    explained = (await ana.call("GET", f"/incidents/{incident}/explain?userId={ana.user_id}")).data["people"]
    assert [(one["userId"], one["outcome"]) for one in explained] == [(str(ana.user_id), "not_paged")]
    assert (await ana.call("GET", f"/notifications?incidentId={incident}")).data["notifications"] == []
    assert (await ana.call("GET", f"/on-call?scheduleId={DEFAULT_SCHEDULE_ID}")).data["onCall"] != []


async def test_wrong_paths_methods_sizes_and_kinds_of_bodies_get_their_own_errors(world: World) -> None:
    call = world.admin.call
    _refused(await call("GET", "/no/such/path"), 404, "NOT_FOUND")
    _refused(await call("GET", f"/incidents/{uuid4()}"), 404, "NOT_FOUND")
    _refused(await call("POST", f"/incidents/{uuid4()}/acknowledge", {}), 404, "NOT_FOUND")
    _refused(await call("GET", f"/escalation/policies/{uuid4()}"), 404, "NOT_FOUND")
    _refused(await call("GET", f"/on-call/schedules/{uuid4()}"), 404, "NOT_FOUND")
    wrong = _refused(await call("DELETE", "/incidents"), 405, "METHOD_NOT_ALLOWED")
    assert set(wrong.headers["Allow"].split(", ")) >= {"GET", "POST"}
    big = json.dumps({"title": "x", "description": "d" * 1024 * 1024}).encode()
    _refused(await call("POST", "/incidents", big, **{"Content-Type": "application/json"}), 413, "PAYLOAD_TOO_LARGE")
    text = await call("POST", "/incidents", b'{"title": "x"}', **{"Content-Type": "text/plain"})
    _refused(text, 415, "UNSUPPORTED_MEDIA_TYPE")
    for body in (b"{", b'["x"]', b"\xff\xfe", b'{"title": NaN}'):
        answer = await call("POST", "/incidents", body, **{"Content-Type": "application/json"})
        _refused(answer, 400, "VALIDATION_ERROR")
    assert await world.incidents() == []


async def test_a_service_that_is_away_is_a_503_that_says_when_to_come_back_and_heals_by_itself(world: World) -> None:
    made = await world.admin.call("POST", "/incidents", {"title": "before"})
    await world.stop("incidents")
    for method, path, body in (("GET", "/incidents", None), ("POST", "/incidents", {"title": "lost?"})):
        answer = _refused(await world.admin.call(method, path, body), 503, "UNAVAILABLE")
        assert int(answer.headers["Retry-After"]) >= 1
    health = await world.http("GET", "/health")
    assert (health.status, health.body["status"]) == (503, "unavailable")
    assert (await world.admin.call("GET", "/users/me")).status == 200, "the others go on"
    # Alerts are taken meanwhile, and paged as soon as the service is back.
    await world.fire_alert("while away")
    await world.start("incidents")
    titles = await world.eventually(world.incidents, lambda found: len(found) == 2, "both incidents")
    assert {i["title"] for i in titles} == {"before", "while away"}
    again = await world.admin.call("GET", f"/incidents/{made.data['incident']['id']}")
    assert again.data["incident"]["title"] == "before"


async def test_writes_are_read_at_once_and_an_idempotency_key_repeats_its_answer(world: World) -> None:
    for number in range(10):
        made = (await world.admin.call("POST", "/incidents", {"title": f"n{number}", "priority": "low"})).data
        listed = await world.incidents(priority="low")
        assert made["incident"]["id"] in {i["id"] for i in listed}
        acknowledged = await world.admin.call("POST", f"/incidents/{made['incident']['id']}/acknowledge", {})
        assert acknowledged.status == 200
        one = await world.admin.call("GET", f"/incidents/{made['incident']['id']}")
        assert one.data["incident"]["status"] == "acknowledged"

    key, body = {"Idempotency-Key": "abc-1"}, {"title": "once", "priority": "high"}
    answers = await asyncio.gather(*(world.admin.call("POST", "/incidents", body, **key) for _ in range(5)))
    assert {a.status for a in answers} == {201}
    (first,) = {json.dumps(a.body) for a in answers}
    later = await world.admin.call("POST", "/incidents", body, **key)
    assert (later.status, json.dumps(later.body)) == (201, first)
    _refused(await world.admin.call("POST", "/incidents", body | {"priority": "low"}, **key), 409, "CONFLICT")
    assert len([i for i in await world.incidents() if i["title"] == "once"]) == 1
    # The key is the caller's own, and good for a day.
    ana = await world.person("ana")
    assert (await ana.call("POST", "/incidents", body, **key)).status == 201
    world.clock.advance(minutes=24 * 60 + 1)
    await world.admin.sign_in()
    assert (await world.admin.call("POST", "/incidents", body, **key)).status == 201
    assert len([i for i in await world.incidents() if i["title"] == "once"]) == 3


async def test_an_override_pages_the_stand_in_and_shifts_say_who_is_really_paged(world: World) -> None:
    ana, bo = await world.two_responders()
    dora = await world.person("dora")
    await world.on_call("ana", "bo")
    schedule = f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}"
    now = world.clock.now()
    start, end = now + timedelta(minutes=60), now + timedelta(minutes=180)
    stand_in = {"userId": str(dora.user_id), "startTime": _iso(start), "endTime": _iso(end)}
    assert (await ana.call("POST", f"{schedule}/overrides", stand_in)).status == 403
    assert (await dora.call("POST", f"{schedule}/overrides", stand_in)).status == 403, "she has no part in it"
    assert (await world.admin.call("POST", f"{schedule}/overrides", stand_in)).status == 201
    await world.settle()
    query = f"from={_iso(now)}&to={_iso(now + timedelta(days=13))}"
    shifts = (await ana.call("GET", f"{schedule}/shifts?{query}")).data["shifts"]
    people = [s["userId"] for s in shifts]
    assert people == [str(p.user_id) for p in (ana, dora, ana, bo)]
    assert [s["isOverride"] for s in shifts] == [False, True, False, False]
    assert (shifts[1]["startTime"], shifts[1]["endTime"]) == (_iso(start), _iso(end))
    assert all(a["endTime"] == b["startTime"] for a, b in pairwise(shifts)), "no hole, no overlap"

    phones = {str(p.user_id): p for p in (ana, bo, dora)}
    for shift in shifts:
        begins = max(datetime.fromisoformat(shift["startTime"]), now)
        await world.advance(seconds=(begins - world.clock.now()).total_seconds() + 1)
        current = (await ana.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")).data["currentOnCall"]
        assert current["userId"] == shift["userId"]
        title = f"at {shift['startTime']}"
        await world.fire_alert(title, dedupKey=title, priority="critical")
        paged = phones[shift["userId"]]
        push = await paged.expect_push(title)
        payload = push["payload"]
        incident = payload.get("incidentId") or payload["message"]["data"]["incidentId"]
        assert (await paged.acknowledge(incident)).status == 200
        await paged.expect_push("Acknowledged")
        for other in phones.values():
            await other.expect_no_push()
