"""A release rolls out while the one before it still runs: the code before a migration pages on the migrated schema.

Each service has a file of its own with these tests, so that several workers share them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from tests.old_code import ROOT, NoHistory, OldWorld, check_out, commit_before
from tests.servers import Servers

WORLD_OF_ITS_OWN = pytest.mark.no_cover
"""Coverage looks away: each of these tests starts a world, and goes the same way through it, which others go as well.
What it is about, the old code, is a process that nobody watches."""


def later_migrations(service: str) -> list[str]:
    """Every migration that followed upon another: before the first there was no code."""
    return [path.name for path in sorted((ROOT / "services" / service / "migrations").glob("[0-9]*.py"))[1:]]


async def old_code_pages(servers: Servers, service: str, migration: str, tmp_path: Path) -> None:
    """The service as it was before this migration does its part from the alert to the answer, beside the new ones."""
    try:
        commit = commit_before(ROOT / "services" / service / "migrations" / migration)
        tree = check_out(commit, tmp_path)
    except NoHistory as missing:
        pytest.fail(str(missing))
    assert not (tree / "services" / service / "migrations" / migration).exists()
    async with OldWorld(servers, service, tree) as world:
        assert service not in world.services, "it runs as a process, on the old code"
        ana, bo = await world.two_responders()
        await world.fire_alert("db down", priority="critical", dedupKey="db")
        await ana.expect_push("db down")
        await world.fire_alert("db down", priority="critical", dedupKey="db")
        incident = (await world.incident("db down"))["id"]
        assert (await bo.acknowledge(incident, "mine")).status == 200
        assert (await bo.call("POST", f"/incidents/{incident}/resolve", {})).status == 200

        async def told() -> set[str]:
            return {entry["type"] for entry in await world.timeline(incident)}

        whole = {"IncidentCreated", "EscalationDue", "NotificationAccepted", "AlertsGrouped", "IncidentResolved"}
        await world.eventually(told, lambda found: whole <= found, "the whole timeline")
        assert (await world.explained(incident))[str(ana.user_id)]["outcome"] == "paged"
        assert {n["userId"] for n in await world.notifications(incident)} == {str(ana.user_id)}

        key = {"Idempotency-Key": "once"}
        made = [await world.admin.call("POST", "/incidents", {"title": "by hand"}, **key) for _ in range(2)]
        assert made[0].body == made[1].body
        for path in ("/users", "/devices", "/integrations", "/escalation/policies", "/on-call/schedules"):
            assert (await world.admin.call("GET", path)).status == 200, path
        current = await world.admin.call("GET", f"/on-call/current?scheduleId={DEFAULT_SCHEDULE_ID}")
        assert current.data["currentOnCall"]["userId"] == str(ana.user_id), current.data
        assert (await world.health(service))["parked"] == {}
        assert (await world.rpc(service, "position")).ok
