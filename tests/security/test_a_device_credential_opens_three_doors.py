"""A phone whose session has ended still answers the page that has woken its owner, and does nothing else."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from uuid import uuid4

import pytest

from docs.permissions import apis
from services.auth.device_credentials import USES
from services.gateway.app import Api
from services.gateway.device_doors import DEVICE_SCHEME
from tests.attacks import Attack, Told
from tests.device import DeviceKey
from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

OPEN = "/incidents?status=created"
WITHOUT_PAGES = pytest.mark.services("auth", "incidents")


class Pocket:
    """Ana's phone, whose session is over."""

    def __init__(self, world: World, ana: Phone) -> None:
        self.world, self.ana, self.key = world, ana, DeviceKey()
        self.credential = ""
        self.session: dict[str, Any] = {}

    async def sign_in(self, **more: Any) -> None:
        who = {"email": self.ana.email, "password": PASSWORD, "deviceId": self.ana.device_id}
        device = {"pushToken": self.ana.token, "deviceKey": self.key.public}
        answer = await self.world.http("POST", "/auth/login", who | device | more)
        assert answer.status == 200, answer.body
        self.credential, self.session = answer.data["deviceCredential"], answer.data["tokens"]

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        proven = self.key.use(self.credential, method, path.partition("?")[0])
        return await self.world.http(method, path, body, **(proven | headers))

    async def opens(self) -> int:
        return (await self.ask("GET", OPEN)).status


async def _of(world: World, ana: Phone) -> Pocket:
    made = Pocket(world, ana)
    await made.sign_in()
    return made


@pytest.fixture
async def pocket(world: World) -> Pocket:
    ana, _ = await world.two_responders()
    return await _of(world, ana)


@pytest.fixture
async def unpaged(world: World) -> Pocket:
    """Of somebody whom nobody pages: for what needs no on-call."""
    return await _of(world, await world.person("ana", "ios"))


async def test_it_answers_a_page_long_after_its_session_has_ended(world: World, pocket: Pocket) -> None:
    world.clock.advance(minutes=8 * 24 * 60)
    refreshed = {"deviceId": "ana-phone", "proof": pocket.key.proof(pocket.session["refreshToken"])}
    over = await world.http("POST", "/auth/refresh", refreshed, pocket.session["refreshToken"])
    assert over.status == 401
    await world.fire_alert(priority="critical")
    await pocket.ana.expect_push()
    (found,) = (await pocket.ask("GET", OPEN)).data["incidents"]
    answer = await pocket.ask("POST", f"/incidents/{found['id']}/acknowledge", {"notes": "from bed"})
    assert (answer.status, answer.data["incident"]["status"]) == (200, "acknowledged")
    assert answer.data["incident"]["acknowledgements"][0]["userId"] == str(pocket.ana.user_id)
    assert [i["id"] for i in (await pocket.ask("GET", "/incidents?status=acknowledged")).data["incidents"]]


async def test_who_was_faster_is_named_to_it(world: World, pocket: Pocket) -> None:
    await world.fire_alert(priority="critical")
    await pocket.ana.expect_push()
    incident = (await world.incident())["id"]
    assert (await world.phone("bo").call("POST", f"/incidents/{incident}/resolve", {})).status == 200
    now = world.clock.now()
    late = {"occurredAt": now.isoformat(), "sentAt": now.isoformat()}
    refused = await pocket.ask("POST", f"/incidents/{incident}/acknowledge", late)
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    assert refused.body["error"]["message"].startswith(f"resolved by Bo Tester at {now:%H:%M} UTC"), refused.body


async def test_it_opens_no_other_door(world: World, pocket: Pocket, told: Told) -> None:
    """Every operation of the API, with a right proof; the session of its phone goes on meanwhile."""
    await world.fire_alert()
    incident = (await world.incident())["id"]
    tried = 0
    for path, method, devices in _operations():
        where = path.removeprefix("/api/v1").replace("{id}", incident)
        where = re.sub(r"\{[^}]*\}", str(uuid4()), where)
        answer = await pocket.ask(method, where, None if method == "GET" else {})
        tried += 1
        if not devices:
            assert answer.status == 403, (method, path, answer.body)
        plain = await world.http(method, where, None if method == "GET" else {}, pocket.credential)
        assert plain.status == 401, "it is no access token"
    assert tried > 60
    for status in ("", "?status=resolved", "?status=closed"):
        assert (await pocket.ask("GET", f"/incidents{status}")).status == 403, "nor is what is over listed"
    told(Attack.DEVICE_CREDENTIAL, "403 at every other operation of the API, 401 without a proof")


async def test_services_let_it_do_no_more_than_the_gateway(world: World, pocket: Pocket) -> None:
    """What it is exchanged for, against every operation on the bus."""
    exchange = {
        "credential": pocket.credential,
        "proof": pocket.key.use(pocket.credential, "GET", "/incidents")["Pager-Proof"],
        "method": "GET",
        "path": "/api/v1/incidents",
    }
    token = (await world.rpc("auth", "exchange_device", exchange)).data["accessToken"]
    refused = 0
    for requests in apis():
        for operation, served in requests.operations.items():
            if served.action is None or served.action in USES:
                continue
            reply = await world.rpc(requests.service, operation, {"not": "even right"}, token)
            assert reply.error is not None, operation
            assert reply.error.kind in ("forbidden", "unauthenticated"), (requests.service, operation)
            refused += 1
    assert refused > 50
    assert (await world.rpc("incidents", "list", {}, token)).ok
    world.clock.advance(seconds=60)
    assert not (await world.rpc("incidents", "list", {}, token)).ok


@WITHOUT_PAGES
async def test_each_use_takes_a_fresh_proof_of_its_own(world: World, unpaged: Pocket) -> None:
    credential, key = unpaged.credential, unpaged.key
    right = key.use(credential, "GET", "/incidents")
    bearer = {"Authorization": f"Bearer {credential}"}
    wrong = {
        "without a proof": bearer,
        "by another key": DeviceKey().use(credential, "GET", "/incidents"),
        "for another method": key.use(credential, "POST", "/incidents"),
        "for another path": key.use(credential, "GET", f"/incidents/{uuid4()}/acknowledge"),
        "for no path": key.use(credential, "GET", "/incidents", htu=None, htm=None),
        "of another credential": key.use(credential[::-1], "GET", "/incidents") | bearer,
        "of a session's token": key.use(unpaged.session["accessToken"], "GET", "/incidents"),
        "and no credential": {"Pager-Proof": right["Pager-Proof"]},
    }  # fmt: skip
    for what, headers in wrong.items():
        assert (await world.http("GET", OPEN, **headers)).status == 401, what
    answers = await asyncio.gather(*(world.http("GET", OPEN, **right) for _ in range(5)))
    assert sorted(answer.status for answer in answers) == [200, 401, 401, 401, 401], "it is good once"
    world.clock.advance(minutes=60 * 24 * 89)
    assert await unpaged.opens() == 200
    assert (await world.http("GET", OPEN, **right)).status == 401, "and never again"


async def test_a_phone_that_uses_it_in_a_loop_waits(world: World, pocket: Pocket) -> None:
    statuses = [await pocket.opens() for _ in range(61)]
    assert statuses == [200] * 60 + [429]
    await world.fire_alert(priority="critical")
    incident = (await world.incident())["id"]
    answer = await pocket.ask("POST", f"/incidents/{incident}/acknowledge", {})
    assert answer.status == 200, "its owner answers a page all the same"
    world.clock.advance(minutes=1)
    assert await pocket.opens() == 200


async def _log_out(world: World, pocket: Pocket) -> None:
    body = {"deviceId": pocket.ana.device_id}
    assert (await world.http("POST", "/auth/logout", body, pocket.session["accessToken"])).status == 200


async def _log_out_everywhere(world: World, pocket: Pocket) -> None:
    await pocket.ana.sign_in()  # elsewhere
    body = {"deviceId": "another", "allDevices": True}
    assert (await world.http("POST", "/auth/logout", body, pocket.ana.session["accessToken"])).status == 200


async def _end_the_session(world: World, pocket: Pocket) -> None:
    laptop = await _laptop(world, pocket)
    listed = (await world.http("GET", "/auth/sessions", token=laptop)).data["sessions"]
    (session,) = [one["id"] for one in listed if one["deviceId"] == pocket.ana.device_id]
    assert (await world.http("DELETE", f"/auth/sessions/{session}", token=laptop)).status == 200


async def _end_all_others(world: World, pocket: Pocket) -> None:
    world.clock.advance(minutes=8 * 24 * 60)  # its session has expired long ago
    assert (await world.http("DELETE", "/auth/sessions", token=await _laptop(world, pocket))).status == 200


async def _change_the_password(world: World, pocket: Pocket) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "Another-Horse-9-Charger"}
    laptop = await _laptop(world, pocket)
    assert (await world.http("POST", "/auth/password/change", body, laptop)).status == 200


async def _reset_the_password(world: World, pocket: Pocket) -> None:
    answer = await world.admin.call("POST", f"/users/{pocket.ana.user_id}/password/reset-link")
    token = answer.data["link"]["url"].partition("#")[2]
    body = {"token": token, "newPassword": "Another-Horse-9-Charger"}
    answer = await world.http("POST", "/auth/password/reset", body)
    assert answer.status == 200, answer.body


async def _deactivate(world: World, pocket: Pocket) -> None:
    assert (await world.admin.call("POST", f"/users/{pocket.ana.user_id}/deactivate")).status == 200


async def _deactivate_and_reactivate(world: World, pocket: Pocket) -> None:
    await _deactivate(world, pocket)
    assert (await world.admin.call("POST", f"/users/{pocket.ana.user_id}/reactivate")).status == 200


async def _lose_the_phone(world: World, pocket: Pocket) -> None:
    world.clock.advance(minutes=8 * 24 * 60)
    path = f"/users/{pocket.ana.user_id}/devices/{pocket.ana.device_id}"
    assert (await world.admin.call("DELETE", path)).status == 200


async def _sign_in_again_without_a_key(world: World, pocket: Pocket) -> None:
    await pocket.ana.sign_in()


async def _leave_it_unused(world: World, pocket: Pocket) -> None:
    world.clock.advance(minutes=60 * 24 * 90)


_ENDS = (
    _log_out,
    _log_out_everywhere,
    _end_the_session,
    _end_all_others,
    _change_the_password,
    _reset_the_password,
    _deactivate,
    _deactivate_and_reactivate,
    _lose_the_phone,
    _sign_in_again_without_a_key,
    _leave_it_unused,
)


@WITHOUT_PAGES
async def test_it_ends(world: World, subtests: pytest.Subtests) -> None:
    for number, end in enumerate(_ENDS):
        with subtests.test(end=end.__name__):
            pocket = await _of(world, await world.person(f"ana{number}", "ios"))
            assert await pocket.opens() == 200
            await end(world, pocket)
            assert await pocket.opens() == 401
        world.clock.advance(minutes=1)  # the brake of this address lets go


@WITHOUT_PAGES
async def test_it_stays_where_the_session_alone_ends(world: World, unpaged: Pocket) -> None:
    """Used up by a thief, or expired: whoever is on call must not fall silent for it."""
    token = unpaged.session["refreshToken"]
    for _ in range(2):
        body = {"deviceId": unpaged.ana.device_id, "proof": unpaged.key.proof(token)}
        await world.http("POST", "/auth/refresh", body, token)
        world.clock.advance(seconds=11)
    ended = [event.data.reason for event in await world.log("auth", "SessionEnded")]
    assert ended[-1] == "refresh token reused"
    assert await unpaged.opens() == 200


@WITHOUT_PAGES
async def test_whoever_changes_their_password_on_the_phone_keeps_it(world: World, unpaged: Pocket) -> None:
    body = {"currentPassword": PASSWORD, "newPassword": "Another-Horse-9-Charger"}
    assert (await world.http("POST", "/auth/password/change", body, unpaged.session["accessToken"])).status == 200
    assert await unpaged.opens() == 200


async def _laptop(world: World, pocket: Pocket) -> str:
    body = {"email": pocket.ana.email, "password": PASSWORD, "deviceId": "laptop"}
    return str((await world.http("POST", "/auth/login", body)).data["tokens"]["accessToken"])


def _operations() -> list[tuple[str, str, bool]]:
    """Paths and methods of all that needs an access token, and whether a device's credential opens it."""
    found = []
    for path, verbs in Api().openapi()["paths"].items():
        for verb, operation in verbs.items():
            schemes = {name for one in operation.get("security", ()) for name in one}
            if "accessToken" in schemes:
                found.append((path, verb.upper(), DEVICE_SCHEME.scheme_name in schemes))
    return found
