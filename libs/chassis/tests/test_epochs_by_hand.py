"""The function that begins an epoch: who may call it, and with what (promise 6)."""

from __future__ import annotations

import psycopg
import pytest

from libs.chassis.store.epochs import Epoch
from libs.chassis.tests.ledger import SCHEMA, Ledger
from libs.chassis.tests.restored import add_many
from libs.contracts.subjects import SERVICES


async def test_the_service_may_begin_an_epoch_through_its_function_and_write_nothing_else_there(
    ledger: Ledger,
) -> None:
    positions = await add_many(ledger, 2)
    for statement in (
        "INSERT INTO incidents.epochs (epoch, after_position) VALUES (2, 0)",
        "UPDATE incidents.epochs SET after_position = 1",
        "DELETE FROM incidents.epochs",
        "DELETE FROM incidents.stored_events",
        "SELECT auth.begin_epoch(1, 2, 0, 'another service')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await ledger.query(statement, user=SCHEMA)
    for number, after, why in ((1, 0, "no later one"), (2, positions[-1] + 1, "beyond the end"), (2, -1, "x"),
                               (2, 0, "  "), (2, 0, "x" * 2001)):  # fmt: skip
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            await ledger.query("SELECT incidents.begin_epoch(1, %s, %s, %s)", number, after, why, user=SCHEMA)
    assert not await ledger.store.begin_epoch(7, Epoch(8, 0, ledger.clock.now(), "on a wrong idea of what is current"))
    assert await ledger.store.begin_epoch(1, Epoch(4, positions[0], ledger.clock.now(), "a test"))
    epochs = await ledger.store.epochs()
    assert [(e.number, e.after, e.reason) for e in epochs.all] == [(1, 0, "the first one"), (4, positions[0], "a test")]
    assert (epochs.keep(1, positions[1]), epochs.keep(4, positions[1])) == tuple(positions)


@pytest.mark.parametrize("service", SERVICES)
async def test_the_function_runs_as_the_owner_with_a_pinned_path_and_nobody_else_may_call_it(
    ledger: Ledger, service: str
) -> None:
    ((definer, config, owner, rights),) = await ledger.query(
        "SELECT prosecdef, proconfig, proowner::regrole::text, proacl::text[] FROM pg_proc"
        " WHERE pronamespace = %s::regnamespace",
        service,
    )
    assert (definer, config, owner) == (True, ["search_path=pg_catalog, pg_temp"], "pager_owner")
    assert sorted(right.partition("=")[0] for right in rights) == sorted(["pager_owner", f"pager_{service}"])
