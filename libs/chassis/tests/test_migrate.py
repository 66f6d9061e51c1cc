"""Every schema goes up, down to nothing, and up again, with the least rights for its service."""

from __future__ import annotations

import asyncio

import pytest
from alembic.script import ScriptDirectory

from libs.chassis.store.migrate import config_of, downgrade, status, upgrade
from libs.chassis.tests.ledger import Ledger
from libs.contracts.subjects import SERVICES

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = %s ORDER BY 1"
_RIGHTS = (
    "SELECT table_name, privilege_type FROM information_schema.role_table_grants"
    " WHERE table_schema = %s AND grantee = %s ORDER BY 1, 2"
)


@pytest.mark.parametrize("service", SERVICES)
def test_the_revisions_of_a_schema_are_one_line(service: str) -> None:
    """Two that follow the same one, as two merged branches may leave them, would leave one of them out."""
    heads = ScriptDirectory.from_config(config_of(service)).get_heads()
    assert len(heads) == 1, f"two lines of {service} end in {' and '.join(sorted(heads))}"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_schema_goes_up_and_down_and_up_again_the_same(ledger: Ledger, service: str) -> None:
    owner = ledger.url("owner")

    async def shape() -> list[object]:
        rights = await ledger.query(_RIGHTS, service, f"pager_{service}")
        return [await ledger.query(_TABLES, service), await ledger.query(_SEQUENCES, service), rights]

    before = await shape()
    assert (await asyncio.to_thread(status, service, owner)).pending == ()
    await asyncio.to_thread(downgrade, service, owner, "base")
    left = {row[0] for row in await ledger.query(_TABLES, service)}
    assert left <= {"alembic_version"}, "nothing is left behind"
    assert await ledger.query(_SEQUENCES, service) == []
    down = await asyncio.to_thread(status, service, owner)
    assert (down.current, bool(down.pending)) == (None, True)
    await asyncio.to_thread(upgrade, service, owner)
    assert await shape() == before
    await asyncio.to_thread(upgrade, service, owner)
    rights = {(table, right) for table, right in await ledger.query(_RIGHTS, service, f"pager_{service}")}
    assert {right for table, right in rights if table == "stored_events"} == {"INSERT", "SELECT"}
    assert {right for table, right in rights if table == "epochs"} == {"SELECT"}
    assert {right for table, right in rights if table == "alembic_version"} == {"SELECT"}


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_of_one_schema_wait_for_each_other(ledger: Ledger, service: str) -> None:
    owner = ledger.url("owner")
    await asyncio.to_thread(downgrade, service, owner, "base")
    await asyncio.gather(*(asyncio.to_thread(upgrade, service, owner) for _ in range(3)))
    assert (await asyncio.to_thread(status, service, owner)).pending == ()
