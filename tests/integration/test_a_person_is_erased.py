"""A person is erased: their name is nowhere any more, what they did is still told, and no backup brings them back."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from libs.chassis.settings import SettingsError
from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.erasure import ERASED
from libs.contracts.subjects import SERVICES
from services.auth.ledger import Ledger, LedgerFault
from tests.attacks import Attack, Told
from tests.device import DeviceKey
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, query, rebuilt
from tests.phone import PASSWORD, Answer, Phone
from tests.restores import back_again, backup, restore
from tests.world import World

EMAIL = "quilla.zabriskie@pager.test"
PERSONAL = ("quilla", "zabriskie", "+4930998877", "Quilla's Nexophone", "198.51.100")
"""Her name, address, number, her device's name, and where she was."""


async def _quilla(world: World) -> Phone:
    """Somebody of whom all is known that can be known."""
    invited = await world.admin.call("POST", "/invites", {"email": EMAIL})
    token = invited.data["invite"]["link"]["url"].partition("#")[2]
    named = {"firstName": "Quilla", "lastName": "Zabriskie", "password": PASSWORD}
    made = await world.http("POST", "/auth/register", {"inviteToken": token} | named)
    assert made.status == 201, made.body
    phone = Phone(world, EMAIL, f"fcm-{uuid4().hex}", "fcm", UUID(made.data["user"]["id"]), f"device-{uuid4().hex[:8]}")
    body = {"email": EMAIL, "password": PASSWORD, "deviceId": phone.device_id, "deviceName": "Quilla's Nexophone"}
    with_key = {"pushToken": phone.token, "deviceKey": DeviceKey().public}
    answer = await world.http("POST", "/auth/login", body | with_key)
    assert answer.status == 200, answer.body
    phone.session = answer.data["tokens"]
    world.known("quilla", phone)
    assert (await phone.call("PATCH", "/users/me", {"phone": "+4930998877"})).status == 200
    wrong = await world.http("POST", "/auth/login", body | {"password": "nothing-of-the-kind"})
    assert wrong.status == 401
    forgot = await world.admin.call("POST", f"/users/{phone.user_id}/password/reset-link")
    assert forgot.status == 200, forgot.body
    await world.settle()
    return phone


async def _deactivated(world: World, person: Phone) -> None:
    answer = await world.admin.call("POST", f"/users/{person.user_id}/deactivate", **{"Idempotency-Key": str(uuid4())})
    assert answer.status == 200, answer.body


async def _erase(world: World, person: Phone, confirm: str = EMAIL) -> Answer:
    return await world.admin.call("DELETE", f"/users/{person.user_id}", {"confirmEmail": confirm})


async def _erased(world: World, person: Phone) -> None:
    await _deactivated(world, person)
    answer = await _erase(world, person)
    assert answer.status == 200, answer.body
    await world.settle()


async def _found(world: World, words: tuple[str, ...]) -> list[str]:
    """Where one of these words stands, in whatever table of whatever service, but for the logs."""
    found = []
    for service in SERVICES:
        names = await query(
            world,
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'",
            service,
        )
        for (name,) in names:
            if name == "stored_events":
                continue
            rows = await query(world, f'SELECT t::text FROM {service}."{name}" t')  # noqa: S608
            found += [f"{service}.{name}: {row}" for (row,) in rows if any(w.lower() in row.lower() for w in words)]
    return found


async def test_nothing_of_an_erased_person_is_left_but_their_id(world: World) -> None:
    quilla, _ = await _quilla(world), await world.person("bo")
    await world.on_call("quilla", "bo")
    await world.policy((5, "quilla"), (5, "bo"))
    await world.fire_alert("she answers", priority="critical")
    await quilla.expect_push("she answers")
    incident = await world.incident("she answers")
    assert (await quilla.acknowledge(incident["id"])).status == 200
    await world.settle()
    words = (*PERSONAL, quilla.token)
    box = f'k"":""{quilla.user_id}'
    """Of hers, as a row of a table is printed."""
    assert {w.split(".")[0] for w in await _found(world, (box,))} >= {"auth", "oncall", "notifier"}, "it looks"

    token = quilla.session["accessToken"]
    await _deactivated(world, quilla)
    kept = "SELECT count(*) FROM auth.answers WHERE about = %s"
    assert await query(world, kept, quilla.user_id) == [(1,)], "what the admin was answered when she was deactivated"
    assert (await _erase(world, quilla)).status == 200
    await world.settle()
    assert await query(world, kept, quilla.user_id) == [(0,)]
    assert await _found(world, (*words, box)) == []
    assert (await world.http("GET", "/users/me", None, token)).status == 401
    refreshed = await world.http(
        "POST", "/auth/refresh", {"deviceId": quilla.device_id}, quilla.session["refreshToken"]
    )
    assert refreshed.status == 401, refreshed.body
    sign_in = {"email": EMAIL, "password": PASSWORD, "deviceId": quilla.device_id}
    assert (await world.http("POST", "/auth/login", sign_in)).status == 401

    gone = await world.admin.call("GET", f"/users/{quilla.user_id}")
    assert (gone.status, gone.body["error"]["message"]) == (404, "id: this person was erased")
    assert str(quilla.user_id) not in json.dumps((await world.admin.call("GET", "/users?limit=100")).data)
    schedule = (await world.admin.call("GET", f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}")).data["schedule"]
    assert schedule["erased"] == schedule["inactive"] == [str(quilla.user_id)]
    policy = (await world.admin.call("GET", f"/escalation/policies/{DEFAULT_POLICY_ID}")).data["policy"]
    assert policy["erased"] == [str(quilla.user_id)]
    current = (await world.admin.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")).data
    assert (current["currentOnCall"]["userName"], current["currentOnCall"]["inactive"]) == (ERASED, True)

    for service in SERVICES:
        assert differences(await rebuilt(world, service, swap=service != "escalation")) == {}, service
    assert await _found(world, (*words, box)) == []
    for service in SERVICES[1:]:
        held = f"SELECT count(*) FROM {service}.person_keys WHERE user_id = %s"  # noqa: S608
        assert await query(world, held, quilla.user_id) == [(0,)], service
    assert await query(world, "SELECT count(*) FROM auth.access_log WHERE user_id = %s", quilla.user_id) == [(0,)]


async def test_stories_of_incidents_say_an_erased_person(world: World) -> None:
    quilla, bo = await _quilla(world), await world.person("bo")
    await world.on_call("quilla", "bo")
    await world.policy((5, "on-call"))
    await _deactivated(world, quilla)
    await world.settle()
    await world.fire_alert("while she is gone", priority="critical")
    await bo.expect_push("while she is gone")
    await world.settle()
    incident = await world.incident("while she is gone")
    before = await world.explained(incident["id"])
    due = [e["summary"] for e in await world.timeline(incident["id"]) if e["type"] == "EscalationDue"]
    assert f"{quilla.user_id} is deactivated" in due[0]

    await _erased(world, quilla)
    due = [e["summary"] for e in await world.timeline(incident["id"]) if e["type"] == "EscalationDue"]
    assert f"{ERASED} is deactivated" in due[0]
    assert str(quilla.user_id) not in due[0]
    explained = await world.explained(incident["id"])
    one = (await world.admin.call("GET", f"/incidents/{incident['id']}/explain?userId={quilla.user_id}")).data
    assert one["people"][0]["erased"] is True
    assert one["people"][0]["reason"] == "deactivated when level 1 was paged: passed over"
    assert str(bo.user_id) in explained
    assert {k: v["outcome"] for k, v in explained.items()} == {k: v["outcome"] for k, v in before.items()}


@pytest.mark.services("auth")
async def test_who_may_erase_whom(world: World) -> None:
    quilla, bo = await _quilla(world), await world.person("bo")
    active = await _erase(world, quilla)
    assert (active.status, active.body["error"]["message"]) == (409, "This person is active: deactivate them first.")
    await _deactivated(world, quilla)
    wrong = await _erase(world, quilla, "somebody@pager.test")
    assert (wrong.status, wrong.body["error"]["details"]["field"]) == (400, "confirmEmail")
    assert (await world.admin.call("DELETE", f"/users/{quilla.user_id}", {})).status == 400
    by_bo = await bo.call("DELETE", f"/users/{quilla.user_id}", {"confirmEmail": EMAIL})
    assert by_bo.status == 403
    nobody = await world.admin.call("DELETE", f"/users/{uuid4()}", {"confirmEmail": EMAIL})
    assert nobody.status == 404
    stale = {"If-Match": '"1"'}
    late = await world.admin.call("DELETE", f"/users/{quilla.user_id}", {"confirmEmail": EMAIL}, **stale)
    assert late.status == 412

    assert (await _erase(world, quilla, f" {EMAIL.upper()}")).status == 200
    assert (await _erase(world, quilla)).status == 200, "done is done"
    assert [e.name for e in await world.log("auth", "PersonErased")] == ["PersonErased"]
    assert world.ledger.read_text().count(str(quilla.user_id)) == 1
    for verb in ("deactivate", "reactivate"):
        assert (await world.admin.call("POST", f"/users/{quilla.user_id}/{verb}")).status == 404
    alone = await world.admin.call("DELETE", f"/users/{world.admin.user_id}", {"confirmEmail": world.admin.email})
    assert alone.status == 409


@pytest.mark.services("auth")
async def test_their_address_is_free_for_somebody_new(world: World) -> None:
    quilla = await _quilla(world)
    await _erased(world, quilla)
    again = await _quilla(world)
    assert again.user_id != quilla.user_id
    assert (await world.admin.call("POST", f"/users/{again.user_id}/password/reset-link")).status == 200
    assert (await again.call("GET", "/users/me")).data["user"]["email"] == EMAIL


async def test_a_restored_backup_of_an_erased_person_erases_them_before_anybody_is_served(
    world: World, told: Told
) -> None:
    quilla = await _quilla(world)
    words = (*PERSONAL, quilla.token)
    async with backup(world) as saved:
        await back_again(world)
        await _erased(world, quilla)
        for name in reversed(SERVICES):
            await world.stop(name)
        await restore(world, saved)
        assert await query(world, "SELECT count(*) FROM auth.users WHERE id = %s", quilla.user_id) == [(1,)]
        kept = world.ledger.read_text()
        world.ledger.unlink()
        with pytest.raises(SettingsError, match=r"PAGER_ERASURE_LEDGER_FILE: .* is missing"):
            await _start(world)
        world.ledger.write_text(kept.replace(str(quilla.user_id), str(uuid4())))
        with pytest.raises(SettingsError, match="line 2 does not follow"):
            await _start(world)
        world.ledger.write_text(kept)
        await world.start("auth")
        assert await query(world, "SELECT count(*) FROM auth.users WHERE id = %s", quilla.user_id) == [(0,)]
        body = {"email": EMAIL, "password": PASSWORD, "deviceId": quilla.device_id}
        again = await world.http("POST", "/auth/login", body)
        assert again.status == 401, again.body
        told(Attack.ERASED_RESTORED, f"{again.status} {again.body['error']['code']}, and erased before that")
        for name in SERVICES[1:]:
            await world.start(name)
        await back_again(world)
        await world.settle()
        assert await _found(world, words) == []
        assert [e.name for e in await world.log("auth", "PersonErased")] == ["PersonErased"]
        assert world.ledger.read_text() == kept


async def test_a_database_that_is_swapped_in_beside_running_services_is_looked_at_at_once(world: World) -> None:
    quilla = await _quilla(world)
    await world.admin.call("PATCH", f"/users/{quilla.user_id}", {"roles": ["lead"]})
    await quilla.sign_in()
    assert (await quilla.call("POST", "/api-keys", {"name": "Bot", "scopes": ["incidents.list"]})).status == 201
    ((of_key,),) = await query(world, "SELECT session_id FROM auth.api_key_secrets")
    async with backup(world) as saved:
        await back_again(world)
        await _erased(world, quilla)
        await restore(world, saved)
    await back_again(world)

    async def living() -> list[tuple[int]]:
        return await query(world, "SELECT count(*) FROM auth.users WHERE id = %s", quilla.user_id)

    await world.eventually(living, lambda found: found == [(0,)], "that she is erased again")
    ended = {event.data.session_id: event.data.reason for event in await world.log("auth", "SessionEnded")}
    assert ended[of_key] == "erased", "her key was good again, and its tokens with it"
    await world.settle()
    assert await _found(world, (*PERSONAL, quilla.token)) == []


@pytest.mark.services("auth")
async def test_replicas_that_do_not_share_the_ledger_do_not_both_run(world: World) -> None:
    told = world.values_of
    elsewhere = str(world.ledger.with_name("elsewhere"))
    world.values_of = lambda name: told(name) | ({"erasure_ledger_file": elsewhere} if name == "auth" else {})  # type: ignore[method-assign]
    with pytest.raises(SettingsError, match="elsewhere: is missing; the ledger of this database is"):
        await _start(world)
    Ledger(Path(elsewhere)).begin(uuid4())
    with pytest.raises(SettingsError, match="that of this database is"):
        await _start(world)


async def _start(world: World) -> None:
    service = world.twin("auth", "auth-1")
    try:
        await service.start()
    finally:
        await service.broker.stop()


@pytest.mark.services("auth")
async def test_what_the_ledger_lacks_is_written_at_the_next_start_and_a_repeat_writes_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit comes first: whoever dies before the ledger is written has answered nobody."""
    quilla, empty = await _quilla(world), world.ledger.read_text()
    await _erased(world, quilla)
    full = world.ledger.read_text()
    assert str(quilla.user_id) in full
    world.ledger.write_text(empty)
    assert (await _erase(world, quilla)).status == 200
    assert world.ledger.read_text() == full
    world.ledger.write_text(full[:-9])  # a crash in the middle of its last line
    await world.stop("auth")
    await world.start("auth")
    assert world.ledger.read_text() == full

    world.ledger.rename(world.ledger.with_name("moved"))
    away = await _erase(world, quilla)
    assert (away.status, away.body["error"]["code"]) == (503, "UNAVAILABLE")
    world.ledger.with_name("moved").rename(world.ledger)
    assert (await _erase(world, quilla)).status == 200


@pytest.mark.services("auth")
async def test_auth_starts_beside_a_ledger_that_cannot_be_written_and_writes_it_when_it_can(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no reason to let nobody sign in: the database knows what the ledger lacks."""
    quilla, empty = await _quilla(world), world.ledger.read_text()
    await _erased(world, quilla)
    full = world.ledger.read_text()
    world.ledger.write_text(empty)
    await world.stop("auth")

    def no_space(self: Ledger, erased: object) -> None:
        raise LedgerFault(f"{self.path}: No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(Ledger, "add", no_space)
        await world.start("auth")
        assert (await world.admin.call("GET", "/users/me")).status == 200
        assert world.ledger.read_text() == empty
        assert (await _erase(world, quilla)).status == 503
    assert (await _erase(world, quilla)).status == 200
    assert world.ledger.read_text() == full


@pytest.mark.services("auth")
async def test_a_ledger_whose_disk_hangs_keeps_nobody_but_whoever_erases(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    quilla, goes_on = await _quilla(world), threading.Event()
    await _deactivated(world, quilla)
    real = Ledger.add

    def hanging(self: Ledger, erased: Mapping[UUID, datetime]) -> None:
        goes_on.wait()
        real(self, erased)

    monkeypatch.setattr(Ledger, "add", hanging)
    try:
        for again in await asyncio.gather(*(_erase(world, quilla) for _ in range(3))):
            assert (again.status, again.body["error"]["code"]) == (503, "UNAVAILABLE")
            assert "ledger" in again.body["error"]["message"], "not that auth does not answer"
    finally:
        goes_on.set()
    assert (await _erase(world, quilla)).status == 200


@pytest.mark.services("auth")
async def test_without_a_ledger_nobody_is_erased_and_one_without_its_setting_does_not_start(world: World) -> None:
    quilla = await _quilla(world)
    await _deactivated(world, quilla)
    await world.stop("auth")
    told = world.values_of
    world.values_of = lambda name: {k: v for k, v in told(name).items() if k != "erasure_ledger_file"}  # type: ignore[method-assign]
    with pytest.raises(SettingsError, match="PAGER_ERASURE_LEDGER_FILE: is missing: the ledger of this database is"):
        await _start(world)
    await query(world, "DELETE FROM auth.ledgers")
    await world.start("auth")
    refused = await _erase(world, quilla)
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")


async def test_everything_is_made_anew_from_events_that_nobody_can_read_any_more(world: World) -> None:
    """Of two people at once: between their registrations and their ends they are told apart by their ids alone."""
    people = [await world.person("ana", "ios"), await world.person("bo")]
    await world.on_call("ana", "bo")
    for person in people:
        await _deactivated(world, person)
        assert (await _erase(world, person, person.email)).status == 200
    await world.settle()
    for service in SERVICES:
        assert differences(await rebuilt(world, service, swap=service != "escalation")) == {}, service
    await world.stop("auth")
    await world.start("auth")
    for person in people:
        assert (await _erase(world, person, "whatever@pager.test")).status == 200, "its events are read again"
    cy = await world.person("cy")
    assert (await world.admin.call("GET", f"/users/{cy.user_id}")).status == 200


async def test_the_log_says_no_more_of_them_than_that_they_were_erased(world: World) -> None:
    """The events stay, sealed under a key that is no more."""
    quilla = await _quilla(world)
    words = (*PERSONAL, quilla.token)
    await _erased(world, quilla)
    for service in SERVICES:
        rows = await query(world, f"SELECT convert_from(state, 'UTF8') FROM {service}.stored_events")  # noqa: S608
        assert [raw for (raw,) in rows if any(word.lower() in raw.lower() for word in words)] == []


async def test_somebody_is_told_all_that_is_held_on_them(world: World) -> None:
    quilla, _ = await _quilla(world), await world.person("bo")
    await world.on_call("quilla", "bo")
    await world.policy((5, "quilla"), (5, "bo"))
    start = world.clock.now() + timedelta(days=1)
    span = {"startTime": start.isoformat(), "endTime": (start + timedelta(hours=1)).isoformat()}
    override = await world.admin.call(
        "POST", f"/on-call/schedules/{DEFAULT_SCHEDULE_ID}/overrides", span | {"userId": str(quilla.user_id)}
    )
    assert override.status == 201, override.body
    await world.fire_alert("she answers", priority="critical")
    await quilla.expect_push("she answers")
    incident = await world.incident("she answers")
    assert (await quilla.acknowledge(incident["id"], "mine")).status == 200
    await world.settle()
    answer = await quilla.call("GET", "/users/me/export")
    assert answer.status == 200, answer.body
    held = answer.data
    assert held["user"]["email"] == EMAIL
    assert [d["deviceName"] for d in held["devices"]] == ["Quilla's Nexophone"]
    assert [s["isCurrent"] for s in held["sessions"]] == [True]
    assert [d["deviceId"] for d in held["deviceCredentials"]] == [quilla.device_id]
    assert [d["deviceId"] for d in held["knownDevices"]] == [quilla.device_id]
    assert held["countries"] == [], "no file says them here"
    assert held["secondFactor"] == {"isOn": False, "recoveryCodesLeft": 0}
    assert [i["status"] for i in held["invites"]] == ["accepted"]
    assert [s["id"] for s in held["schedules"]] == [str(DEFAULT_SCHEDULE_ID)]
    assert held["shifts"]
    assert [p["id"] for p in held["policies"]] == [str(DEFAULT_POLICY_ID)]
    assert [i["id"] for i in held["incidents"]] == [incident["id"]]
    assert [n["incidentId"] for n in held["notifications"]] == [incident["id"]]
    assert held["notifications"][0]["attempts"]
    names = {service: {e["type"] for e in events} for service, events in held["history"].items()}
    assert names["auth"] >= {"UserRegistered", "UserChanged", "DeviceRegistered", "SignedIn", "SignInRefused"}
    assert names["oncall"] >= {"OverrideAdded", "ScheduleChanged"}
    assert names["incidents"] >= {"IncidentAcknowledged"}
    assert names["escalation"] >= {"EscalationDue"}
    assert names["notifier"] >= {"NotificationIntended", "NotificationAccepted"}
    raw = json.dumps(held)
    for secret in (quilla.token, PASSWORD, quilla.session["refreshToken"], "$2b$"):
        assert secret not in raw
    mine = (await world.admin.call("GET", "/users/me/export")).data
    assert "Quilla" not in json.dumps(mine["history"]), "others' fields are theirs"
    assert (await world.http("GET", "/users/me/export")).status == 401
