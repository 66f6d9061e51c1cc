"""A schema that was taken down to nothing and up again leaves a system that pages (promise 6)."""

from __future__ import annotations

import pytest

from libs.contracts.subjects import SERVICES, stream_of
from tests.command import Pager
from tests.integration.test_rebuild_gives_equal_tables_while_the_service_runs import query
from tests.restores import back_again
from tests.servers import recreate
from tests.world import World


async def _stop(world: World) -> None:
    for name in reversed(SERVICES):
        await world.stop(name)


async def _start(world: World) -> None:
    for name in SERVICES:
        await world.start(name)
    await back_again(world)


async def test_a_schema_is_not_taken_from_under_services_that_run(world: World, pager: Pager) -> None:
    code, told = await pager("migrate", "down", "auth", "--to", "base", "--yes")
    assert (code, f"the database is in use by {', '.join(sorted(SERVICES))}" in told) == (1, True), told
    await world.person("ana")


async def test_nothing_is_taken_back_before_somebody_has_agreed_to_what_is_lost(world: World, pager: Pager) -> None:
    await _stop(world)
    down = ("migrate", "down", "auth", "--to", "base")
    code, told = await pager(*down)
    assert (code, "--json needs --yes" in told) == (2, True), told
    code, told = await pager(*down, asked="n")
    assert (code, "Lost are its log with " in told, "nothing was taken back" in told) == (2, True, True), told
    assert (await query(world, "SELECT count(*) FROM auth.users"))[0][0] == 1
    code, told = await pager(*down, asked="y")
    assert (code, "to go up again: `pager migrate up auth`" in told) == (0, True), told
    assert (await query(world, "SELECT to_regclass('auth.users')"))[0][0] is None


@pytest.mark.parametrize("service", SERVICES)
async def test_a_log_that_was_made_anew_pages_on_though_its_stream_is_lost_too(
    world: World, pager: Pager, service: str
) -> None:
    """Nothing can be compared then: its followers would take its new positions for the old ones."""
    ana, _ = await world.two_responders()
    await world.fire_alert("before", priority="critical")
    await ana.expect_push("before")
    assert (await ana.acknowledge((await world.incident("before"))["id"])).status == 200
    await world.settle()
    await _stop(world)
    await recreate(world.operator.jetstream(), stream_of(service))
    code, told = await pager("migrate", "down", service, "--to", "base", "--yes")
    assert code == 0, told
    code, told = await pager("migrate", "up", service)
    assert code == 0, told
    await _start(world)

    await world.admin.sign_in()
    eva = await world.person("eva")
    await world.on_call("eva")
    await world.policy((5, "on-call"), repeat=1)
    await world.fire_alert("after", priority="critical", dedupKey="after")
    await eva.expect_push("after")
    incident = await world.incident("after")
    assert (await eva.acknowledge(incident["id"])).status == 200
    await world.advance(minutes=30)
    assert (await world.incident("after"))["status"] == "acknowledged"
    assert len(await query(world, f"SELECT 1 FROM {service}.epochs WHERE epoch = 2")) == 1  # noqa: S608
