"""What the phone makes, against the real gateway and services: a page is answered once, whatever is repeated."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from conftest import Java
from libs.contracts.subjects import SERVICES
from tests.phone import PASSWORD, Answer, Phone
from tests.servers import Servers
from tests.world import World

MINUTE = 60_000


@pytest.fixture
async def world(servers: Servers) -> AsyncIterator[World]:
    async with World(servers, SERVICES) as made:
        yield made


@dataclass
class Pocket:
    """A phone whose app is dead: its key is Java's, and what it sends is what `Courier` sends."""

    world: World
    java: Java
    owner: Phone
    credential: str

    def proof(self, path: str) -> str:
        asked = {"of": self.credential, "method": "POST", "path": f"/api/v1{path}", "seconds": 1_790_000_000}
        made: str = self.java.ask("proof", **asked)["proof"]
        return made

    async def acknowledge(self, incident: str, *, waited: int = 0, proof: str | None = None) -> Answer:
        """`waited`: milliseconds from the touch until it is sent."""
        path = f"/incidents/{incident}/acknowledge"
        now = int(self.world.clock.now().timestamp() * 1_000)
        then = {"millis": now - waited, "sinceBoot": 0, "boot": 1}
        made = self.java.ask("body", then=then, now={"millis": now, "sinceBoot": waited, "boot": 1})
        return await self.send(path, made["body"], made["key"], proof)

    async def send(self, path: str, body: Any, key: str, proof: str | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.credential}", "Pager-Proof": proof or self.proof(path)}
        return await self.world.http("POST", path, body, **headers, **{"Idempotency-Key": key})

    def meaning(self, answer: Answer) -> dict[str, Any]:
        said: dict[str, Any] = self.java.ask(
            "answer", status=answer.status, body=json.dumps(answer.body), retryAfter=None
        )
        return said


@pytest.fixture
async def pocket(world: World, java: Java) -> Pocket:
    ana, _ = await world.two_responders()
    key = java.ask("proof", of="x", method="POST", path="/", seconds=0)["jwk"]
    who = {"email": ana.email, "password": PASSWORD, "deviceId": ana.device_id}
    answer = await world.http("POST", "/auth/login", who | {"pushToken": ana.token, "deviceKey": key})
    assert answer.status == 200, answer.body
    return Pocket(world, java, ana, answer.data["deviceCredential"])


async def _incident(pocket: Pocket) -> str:
    await pocket.world.fire_alert(priority="critical")
    await pocket.owner.expect_push()
    incident: str = (await pocket.world.incident())["id"]
    return incident


async def test_a_page_is_acknowledged_once_however_often_it_is_sent(world: World, pocket: Pocket) -> None:
    incident = await _incident(pocket)
    first = await pocket.acknowledge(incident)
    assert (first.status, pocket.meaning(first)["meaning"]) == (200, "DONE"), first.body
    # The answer was lost: minutes later it is sent again, and says anew how long ago it was done.
    again = await pocket.acknowledge(incident, waited=7 * MINUTE)
    assert again.status == 409
    assert pocket.meaning(again)["meaning"] == "DONE", again.body
    seen = (await world.admin.call("GET", f"/incidents/{incident}")).data["incident"]
    assert [one["userId"] for one in seen["acknowledgements"]] == [str(pocket.owner.user_id)]


async def test_a_proof_that_was_used_is_made_anew(pocket: Pocket) -> None:
    incident = await _incident(pocket)
    proof = pocket.proof(f"/incidents/{incident}/acknowledge")
    assert (await pocket.acknowledge(incident, proof=proof)).status == 200
    repeated = await pocket.acknowledge(incident, proof=proof)
    assert pocket.meaning(repeated)["meaning"] == "OTHER_PROOF", repeated.body


async def test_who_was_faster_is_told_in_words(world: World, pocket: Pocket) -> None:
    incident = await _incident(pocket)
    resolved = await world.phone("bo").call("POST", f"/incidents/{incident}/resolve", {})
    assert resolved.status == 200
    said = pocket.meaning(await pocket.acknowledge(incident, waited=MINUTE))
    assert (said["meaning"], said["code"]) == ("REFUSED", "CONFLICT")
    assert said["reason"].startswith(f"resolved by Bo Tester at {world.clock.now():%H:%M} UTC"), said


async def test_times_that_are_none_are_left_out_the_next_time(pocket: Pocket) -> None:
    incident = await _incident(pocket)
    body = {"occurredAt": "yesterday", "sentAt": "today"}
    refused = await pocket.send(f"/incidents/{incident}/acknowledge", body, "ack-x")
    assert pocket.meaning(refused)["meaning"] == "WITHOUT_TIMES", refused.body
    assert (await pocket.send(f"/incidents/{incident}/acknowledge", {}, "ack-x")).status == 200


async def test_a_phone_that_is_signed_in_no_more_is_told_so(pocket: Pocket) -> None:
    incident = await _incident(pocket)
    pocket.credential = pocket.credential[:-2] + "xx"
    said = pocket.meaning(await pocket.acknowledge(incident))
    assert (said["meaning"], said["code"]) == ("REFUSED", "UNAUTHENTICATED")


async def test_an_incident_that_is_none_is_refused(pocket: Pocket) -> None:
    said = pocket.meaning(await pocket.acknowledge("22222222-2222-7222-8222-222222222222"))
    assert (said["meaning"], said["code"]) == ("REFUSED", "NOT_FOUND")


async def test_receipts_are_taken_from_a_phone_whose_app_is_dead(world: World, pocket: Pocket) -> None:
    incident = await _incident(pocket)
    listed = (await world.admin.call("GET", f"/notifications?incidentId={incident}")).data["notifications"]
    (mine,) = [one["id"] for one in listed if one["userId"] == str(pocket.owner.user_id)]
    now = {"millis": int(world.clock.now().timestamp() * 1_000), "sinceBoot": 0, "boot": 1}
    for state in ("received", "displayed", "opened", "opened"):
        made = pocket.java.ask("body", then=now, now=now, state=state)
        answer = await pocket.send(f"/notifications/{mine}/receipts", made["body"], f"receipt-{mine}-{state}")
        assert pocket.meaning(answer)["meaning"] == "DONE", answer.body
    listed = (await world.admin.call("GET", f"/notifications?incidentId={incident}")).data["notifications"]
    (seen,) = [one["receipts"] for one in listed if one["id"] == mine]
    assert all(seen[state] is not None for state in ("received", "displayed", "opened")), seen
