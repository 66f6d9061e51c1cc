"""For everybody on the policy there is one outcome, with the events that led to it, and it never changes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from cli.replay.explanation import from_logs
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID
from libs.contracts.incidents import IncidentExplained, Outcome
from services.incidents.dedup import incident_id
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import rebuilt
from tests.world import World


async def from_service(world: World, key: str, user: UUID | None = None) -> IncidentExplained:
    """As `pager explain` asks for it."""
    reply = await world.rpc("incidents", "explanation", {"key": key} | ({"userId": str(user)} if user else {}))
    assert reply.ok, reply.error
    return IncidentExplained.model_validate(reply.data)


def outcomes(found: IncidentExplained) -> dict[UUID, tuple[Outcome, str]]:
    return {person.user_id: (person.outcome, person.reason) for person in found.people}


async def logged(world: World, key: str) -> IncidentExplained:
    url = world.servers.database_url("auditor", world.database)
    return await asyncio.to_thread(from_logs, url, key, None)


async def test_everybody_on_the_policy_has_one_outcome_with_its_chain_back_to_the_alert(world: World) -> None:
    ana, bo = await world.two_responders()
    chief, cat = await world.person("chief"), await world.person("cat")
    await world.policy((5, "on-call"), (5, "bo+cat"), (5, "chief"))  # Cat can be reached, so level 3 keeps its time
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    incident = await world.incident("db down")

    waiting = outcomes(await from_service(world, str(incident["number"])))
    assert waiting[bo.user_id] == (Outcome.NOT_PAGED, f"level 2 (user:{bo.user_id}) has not fired yet")

    await world.simulate("fcm", "UNREGISTERED", bo, times=1)
    await world.advance(minutes=5)
    assert (await ana.acknowledge(incident["id"])).status == 200
    await world.settle()
    found = await from_service(world, f"#{incident['number']}")
    told = outcomes(found)
    assert told[ana.user_id][0] is Outcome.PAGED
    assert "on level 1 through schedule:" in told[ana.user_id][1]
    assert told[bo.user_id][0] is Outcome.UNREACHABLE
    assert told[chief.user_id][0] is Outcome.NOT_PAGED
    assert "never fired: escalation stopped: acknowledged" in told[chief.user_id][1]
    assert told[cat.user_id][0] is Outcome.PAGED
    assert list(told) == [ana.user_id, bo.user_id, cat.user_id, chief.user_id], "in the order of the levels"

    chains = {person.user_id: [link.type for link in person.chain] for person in found.people}
    assert chains[ana.user_id][:5] == [
        "IncidentCreated",
        "EscalationStarted",
        "EscalationDue",
        "NotificationIntended",
        "NotificationAccepted",
    ]
    assert chains[bo.user_id][:3] == ["IncidentCreated", "EscalationStarted", "EscalationDue"]
    assert chains[bo.user_id][-2:] == ["AttemptFailed", "PersonUnreachable"]
    assert chains[chief.user_id] == [
        "IncidentCreated",
        "EscalationStarted",
        "IncidentAcknowledged",
        "EscalationCancelled",
    ]

    nobody = (await from_service(world, incident["id"], uuid4())).people[0]
    assert (nobody.outcome, nobody.reason) == (
        Outcome.NOT_PAGED,
        "no level of the policy (version 3) names this person",
    )


async def test_the_service_and_the_logs_say_the_same_today_and_after_everything_has_changed(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    assert (await ana.acknowledge((await world.incident())["id"])).status == 200
    await world.settle()
    incident: dict[str, Any] = await world.incident()
    first = await from_service(world, incident["id"][:8])
    assert await logged(world, incident["id"]) == first
    assert await logged(world, str(incident["number"])) == first

    await world.policy((1, "bo"))
    await world.on_call("bo")
    await rebuilt(world, "incidents")
    await world.advance(minutes=60)
    assert await from_service(world, incident["id"]) == first
    assert await logged(world, incident["id"]) == first
    assert outcomes(first)[bo.user_id][0] is Outcome.NOT_PAGED


@pytest.mark.services("auth", "incidents")
async def test_an_id_that_begins_with_digits_alone_is_found_by_them(world: World) -> None:
    key = next(k for k in map(str, range(10_000)) if str(incident_id(DEFAULT_INTEGRATION_ID, k, 1))[:8].isdigit())
    await world.fire_alert("db down", dedupKey=key)
    await world.settle()
    incident: dict[str, Any] = await world.incident()
    assert incident["id"][:8].isdigit()
    assert str((await from_service(world, incident["id"][:8])).incident_id) == incident["id"]
    assert await logged(world, incident["id"][:8]) == await from_service(world, incident["id"])


@pytest.mark.services("auth", "incidents")
async def test_who_is_asked_for_must_be_one_incident(world: World) -> None:
    for key, kind in (
        ("nonsense", "validation"),
        ("12345", "not_found"),
        (str(uuid4()), "not_found"),
        ("abc", "validation"),
    ):
        reply = await world.rpc("incidents", "explanation", {"key": key})
        assert not reply.ok
        assert reply.error is not None
        assert str(reply.error.kind) == kind
