"""After a restore of PostgreSQL new incidents page, whoever reads a log follows, and the admins know (promise 6).

The steps are those of docs/runbooks/restore.md.
"""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.defaults import ADMINS_POLICY_ID, OWN_INTEGRATION_ID
from libs.contracts.subjects import SERVICES
from tests.command import Pager
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import differences, query, rebuilt
from tests.integration.test_the_bus_says_the_same_as_the_logs import _from_bus
from tests.phone import Phone, described
from tests.restores import back_again, backup, cut_log, restore
from tests.servers import recreate
from tests.world import World


async def _pushed(world: World, phone: Phone, words: str) -> None:
    """A push with these words comes, among others."""

    async def look() -> bool:
        found = world.simulators.log.read(phone.seen, device_token=phone.token)
        return any(words in str(described(push)) for push in found)

    await world.eventually(look, bool, f"a push {words!r} for {phone.email}")


async def _epochs(world: World) -> dict[str, int]:
    return {s: (await query(world, f"SELECT max(epoch) FROM {s}.epochs"))[0][0] for s in SERVICES}  # noqa: S608


async def _behind(world: World) -> list[str]:
    """Cursors of logs with a new epoch that have not reached it."""
    epochs, found = await _epochs(world), []
    for service in SERVICES:
        rows = await query(world, f"SELECT upstream, lane, epoch FROM {service}.cursors WHERE upstream <> 'ALERTS'")  # noqa: S608
        found += [f"{service} reads {u}.{lane} in {e}" for u, lane, e in rows if e not in (0, epochs[u])]
    return found


@pytest.mark.parametrize("running", [True, False], ids=["under the services", "services stopped"])
async def test_a_database_that_is_restored_pages_on_and_everybody_follows(world: World, running: bool) -> None:
    ana, _ = await world.two_responders()
    root = await world.person("root", roles=("admin",))
    await world.fire_alert("before the backup", priority="critical")
    await ana.expect_push("before the backup")
    await world.settle()
    async with backup(world) as saved:
        await back_again(world)
        await world.fire_alert("lost with the log", priority="critical")
        await ana.expect_push("lost with the log")
        lost = (await world.incident("lost with the log"))["id"]
        assert (await ana.acknowledge(lost)).status == 200
        assert (await ana.call("POST", f"/incidents/{lost}/resolve", {})).status == 200
        await world.settle()
        if not running:
            for name in reversed(SERVICES):
                await world.stop(name)
        await restore(world, saved)
        if not running:
            for name in SERVICES:
                await world.start(name)
    await world.fire_alert("after the restore", priority="critical")
    await _pushed(world, ana, "after the restore")
    await back_again(world)
    await _pushed(world, root, "The log of incidents was restored to an earlier state")
    await world.settle()
    epochs = await _epochs(world)
    assert (epochs["incidents"], epochs["escalation"], epochs["notifier"]) == (2, 2, 2)
    titles = {incident["title"] for incident in await world.incidents()}
    assert {"before the backup", "lost with the log", "after the restore"} <= titles, "ALERTS is read again"

    async def healthy() -> list[Any]:
        return [health for s in SERVICES if not (health := await world.health(s))["ready"]]

    await world.eventually(healthy, lambda found: not found, "every service ready")
    # What was opened twice was paged twice; what is now in the logs is what the tables and the bus say.
    for service in ("incidents", "escalation", "notifier"):
        different = differences(await rebuilt(world, service))
        if service == "incidents":
            # What an upstream's stream still told of before its owner had compared it may stay told (docs/adr/0037).
            assert all(one.kind == "extra" for one in different.pop("timeline", ()))
        assert different == {}
    _, found = await _from_bus(world)
    assert not any(one.real for one in found)
    assert sum(len(one.lost) for one in found if one.service == "incidents") > 0, "what was lost is told of"
    incident = await world.incident("after the restore")
    assert (await ana.acknowledge(incident["id"])).status == 200
    await world.advance(minutes=30)
    assert (await world.incident("after the restore"))["status"] == "acknowledged"
    # A lane in which nothing has happened since has nobody to follow: what others keep of it happens in each now.
    for path in (f"/escalation/policies/{ADMINS_POLICY_ID}", f"/integrations/{OWN_INTEGRATION_ID}"):
        assert (await world.admin.call("PATCH", path, {"name": "after the restore"})).status == 200
    await world.eventually(lambda: _behind(world), lambda behind: not behind, "everybody in the new epochs")


async def test_the_runbook_works_where_the_stream_was_lost_with_the_log_and_nothing_can_be_compared(
    world: World, pager: Pager
) -> None:
    ana, _ = await world.two_responders()
    await world.fire_alert("kept", priority="critical")
    await ana.expect_push("kept")
    await world.settle()
    (kept,) = (await query(world, "SELECT max(notification_id) FROM incidents.stored_events"))[0]
    for number in range(3):
        await world.fire_alert(f"lost {number}", priority="critical", dedupKey=f"lost-{number}")
    await world.settle()
    await world.stop("incidents")
    await cut_log(world, "incidents", kept)
    await recreate(world.operator.jetstream(), "INCIDENTS")
    await rebuilt(world, "incidents")
    await world.start("incidents")

    # Escalation has read what the log does not hold any more, and says so.
    await world.stop("escalation")
    await world.start("escalation")

    async def stopped() -> list[str]:
        return list((await world.health("escalation"))["stopped"])

    said = await world.eventually(stopped, bool, "a reader that is ahead")
    assert "pager epoch" in said[0]

    code, document = await pager("epoch")
    assert code == 0
    log = next(one for one in document["logs"] if one["service"] == "incidents")
    assert [(e["epoch"], e["afterPosition"], e["reason"]) for e in log["epochs"]] == [(1, 0, "the first one")]
    assert any(r["service"] == "escalation" and r["position"] > kept for r in log["readers"])
    for wrong, complaint in (
        (("nonsense", "--reason", "x", "--yes"), "is none of"),
        (("incidents", "--reason", " ", "--yes"), "say why"),
        (("incidents", "--reason", "x", "--after", str(log["end"] + 1), "--yes"), "its log ends at"),
        (("incidents", "--reason", "x", "--after", "-1", "--yes"), "no position"),
        (("incidents", "--reason", "x"), "--json needs --yes"),
    ):
        code, told = await pager("epoch", "begin", *wrong)
        assert code == 2, told
        assert complaint in told
    code, told = await pager("epoch", "begin", "incidents", "--after", str(kept), "--reason", "restored", "--yes")
    assert code == 0, told
    assert (told["epochs"][-1]["epoch"], told["epochs"][-1]["afterPosition"]) == (2, kept)

    await world.fire_alert("after the restore", priority="critical")
    await _pushed(world, ana, "after the restore")
    await world.eventually(stopped, lambda found: not found, "a reader that follows")
    await world.settle()
    assert not [line for line in await _behind(world) if "incidents" in line and "urgent" in line]


async def test_who_reads_a_whole_log_again_pages_nobody_again(world: World, pager: Pager) -> None:
    """A new epoch from the very beginning: everything is taken twice, and nothing comes of it."""
    ana, _ = await world.two_responders()
    await world.fire_alert("acknowledged", priority="critical")
    await ana.expect_push("acknowledged")
    assert (await ana.acknowledge((await world.incident("acknowledged"))["id"])).status == 200
    await world.fire_alert("open", priority="high", dedupKey="open")
    await _pushed(world, ana, "open")
    await world.settle()
    incident = (await world.incident("open"))["id"]
    timeline, pages = await world.timeline(incident), await world.notifications(incident)
    for service in SERVICES:
        code, told = await pager("epoch", "begin", service, "--after", "0", "--reason", "all", "--yes")
        assert code == 0, told
        world.services[service].relay.wake()

    async def behind() -> list[str]:
        return await _behind(world)

    before = len(world.simulators.log.read(0))
    await world.fire_alert("one more", priority="critical")
    await _pushed(world, ana, "one more")
    await world.eventually(behind, lambda found: not [f for f in found if "urgent" in f], "all urgent lanes")
    await world.settle()
    assert len(world.simulators.log.read(0)) == before + 1
    assert await world.timeline(incident) == timeline
    assert await world.notifications(incident) == pages
    for service in ("incidents", "escalation", "notifier"):
        assert differences(await rebuilt(world, service)) == {}


async def test_a_service_whose_log_and_stream_differ_is_not_ready_until_an_epoch_was_begun(
    world: World, pager: Pager
) -> None:
    ana, _ = await world.two_responders()
    await world.fire_alert("kept", priority="critical")
    await _pushed(world, ana, "kept")
    await world.settle()
    (kept,) = (await query(world, "SELECT max(notification_id) FROM incidents.stored_events"))[0]
    await world.fire_alert("lost", priority="critical")
    await _pushed(world, ana, "lost")
    await world.settle()
    # The restore has brought back no privileges, so that nothing can begin by itself.
    await query(world, "REVOKE EXECUTE ON FUNCTION incidents.begin_epoch FROM pager_incidents")
    await cut_log(world, "incidents", kept)

    async def reasons() -> list[str]:
        health = await world.health("incidents")
        ready = await world.services["incidents"].monitoring.ready()
        assert health["ready"] == (not health["stopped"])
        return [*health["stopped"], *ready.reasons] if not health["ready"] and ready.reasons else []

    def says_where(found: list[str]) -> bool:
        return len(found) == 2 and all(
            f"publishing: log and stream agree up to position {kept}" in one for one in found
        )

    await world.eventually(reasons, says_where, "why it is not ready, in health and on its port")
    standby = world.twin("incidents", "incidents-2")
    await standby.start()
    try:

        async def standbys_reasons() -> list[str]:
            world.clock.advance(seconds=2)  # it looks so often
            return list((await standby.monitoring.ready()).reasons)

        said = await world.eventually(standbys_reasons, bool, "a standby that is not ready either")
        assert all(one.startswith("publishing: the log does not hold position") for one in said)
        assert standby.monitoring.unstored() == [], "NATS stores all that it is given"
    finally:
        await standby.stop()
    text = (await world.services["incidents"].monitoring.metrics()).decode()
    assert 'pager_relay_at_odds{service="incidents"} 1.0' in text

    begin = ("epoch", "begin", "incidents", "--after", str(kept), "--reason", "no privileges came back")
    code, told = await pager(*begin, asked="n")
    assert (code, "goes back" in told, "no epoch was begun" in told) == (2, True, True), told
    code, told = await pager(*begin, asked="y")
    assert (code, f"epoch 2 of incidents has begun after position {kept}" in told) == (0, True), told
    code, told = await pager("epoch", asked="")
    assert (code, "no privileges came back" in told) == (0, True), told

    async def ready() -> bool:
        return bool((await world.health("incidents"))["ready"])

    await world.eventually(ready, bool, "a service that is ready")
    await world.fire_alert("after", priority="critical")
    await _pushed(world, ana, "after")
    alarm = await world.incident("The log of incidents was restored to an earlier state")
    assert alarm["alertCount"] == 1, "it was refused again and again, and told once"
