"""Every migration goes up and down on a database in use, keeps its rows, and makes the schema that the code expects."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from libs.chassis.store.migrate import MigrationRefused, downgrade, status, upgrade
from libs.chassis.store.person_keys import person_keys
from libs.chassis.store.tables import chassis_tables
from libs.contracts.subjects import SERVICES
from tests.filling import Schema, in_common
from tests.servers import Servers

_SHAPE = (
    # The order of columns, not their numbers: one that was dropped and added again has a number of its own.
    "SELECT table_name, column_name, rank() OVER (PARTITION BY table_name ORDER BY ordinal_position), udt_name,"
    " is_nullable, column_default FROM information_schema.columns WHERE table_schema = :schema ORDER BY 1, 2",
    "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = :schema ORDER BY 1, 2",
    "SELECT relname, relkind, reloptions, relacl::text FROM pg_class WHERE relnamespace = to_regnamespace(:schema)"
    " AND relkind IN ('r', 'S') ORDER BY 1",
)


_NOT_LOST = {("incidents", "0004"): "kept_answers"}
"""What the way down from a revision does not take away: whoever goes it has to see to it first."""


@pytest.fixture
async def owner(servers: Servers) -> Iterator[str]:  # type: ignore[misc]
    """The owner's URL of a database of its own."""
    async with servers.fresh() as database:
        yield servers.database_url("owner", database)


@pytest.fixture
def connection(owner: str) -> Iterator[Connection]:
    engine = create_engine(make_url(owner).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as made:
        yield made


def _shape(connection: Connection, schema: str) -> list[list[object]]:
    found = [[tuple(row) for row in connection.execute(text(q), {"schema": schema})] for q in _SHAPE]
    connection.commit()
    return found  # type: ignore[return-value]


def _revisions(service: str, owner: str) -> tuple[str, ...]:
    """Every revision, oldest first; the schema is empty afterwards."""
    downgrade(service, owner, "base")
    return status(service, owner).pending


def _refused(service: str, owner: str, previous: str, connection: Connection, table: str) -> None:
    schema = Schema(connection, service)
    before = schema.rows()
    with pytest.raises(MigrationRefused, match=f"{service}.{table}"):
        downgrade(service, owner, previous)
    assert schema.rows() == before
    connection.execute(text(f"DELETE FROM {service}.{table}"))  # noqa: S608
    connection.commit()


@pytest.mark.no_cover  # Alembic and SQLAlchemy compute here, and what is ours of it is watched in tests of its own
@pytest.mark.parametrize("service", SERVICES)
def test_every_migration_goes_up_and_down_on_a_filled_database(
    service: str, owner: str, connection: Connection
) -> None:
    previous = "base"
    revisions = _revisions(service, owner)
    schema = Schema(connection, service)
    for revision in revisions:
        schema.fill()
        before = schema.rows()
        upgrade(service, owner, revision)
        assert status(service, owner).current == revision
        schema = Schema(connection, service)
        after, shape = schema.rows(), _shape(connection, service)
        assert in_common(after, before) == in_common(before, after), f"{revision} lost rows on its way up"

        schema.fill()
        filled = schema.rows()
        assert all(len(rows) >= 3 for rows in filled.values()), "there is an empty table"
        if (service, revision) in _NOT_LOST:
            _refused(service, owner, previous, connection, _NOT_LOST[service, revision])
            filled = schema.rows()
        downgrade(service, owner, previous)
        left = Schema(connection, service).rows()
        assert in_common(left, filled) == in_common(filled, left), f"{revision} lost rows on its way down"
        assert left.keys() == before.keys(), f"{revision} leaves tables behind, or takes others along"

        upgrade(service, owner, revision)
        assert _shape(connection, service) == shape, f"{revision} is another one after a way down"
        previous = revision


def test_the_release_before_places_reads_alerts_on_from_where_they_were_left(
    owner: str, connection: Connection
) -> None:
    """It knows the stream by its own word alone, and would read all of it again."""
    add = "INSERT INTO incidents.cursors (upstream, lane, epoch, position, sequence, incarnation) VALUES "
    connection.execute(
        text(f"{add} ('ALERTS', 'urgent', 0, 70, 0, 'made/55@made'), ('ALERTS', 'routine', 0, 60, 0, 'made')")
    )
    connection.execute(text(f"{add} ('oncall', 'routine', 0, 8, 5, 'made')"))
    connection.commit()
    downgrade("incidents", owner, "0003")
    rows = connection.execute(text("SELECT upstream, position, incarnation FROM incidents.cursors ORDER BY position"))
    assert [tuple(row) for row in rows] == [("oncall", 8, "made"), ("ALERTS", 60, "made"), ("ALERTS", 70, "made")]


def test_whom_an_escalation_pages_stands_with_each_incident(owner: str, connection: Connection) -> None:
    """Of more of them than are filled at once; what the release before pages meanwhile is not undone."""
    downgrade("incidents", owner, "0006")
    fill_them = (
        "INSERT INTO incidents.incidents (id, number, status, priority, created_at, view)"
        " SELECT lpad(to_hex(n), 32, '0')::uuid, n, 'created', 'high', now(), '{}' FROM generate_series(1, 2500) n",
        "INSERT INTO incidents.running_escalations (incident_id, run, round, level, exhausted, assigned_to)"
        " SELECT id, 1, 2, 3, false, id FROM incidents.incidents WHERE number > 1",
    )
    for statement in fill_them:
        connection.execute(text(statement))
    connection.commit()
    upgrade("incidents", owner)
    filled = "SELECT count(*) FROM incidents.incidents WHERE paged = id AND paged_in = ARRAY[1, 2, 3]"
    assert connection.execute(text(filled)).scalar_one() == 2499
    assert connection.execute(text("SELECT count(*) FROM incidents.incidents WHERE paged IS NULL")).scalar_one() == 1


@pytest.mark.parametrize("service", SERVICES)
def test_the_migrated_schema_is_the_one_that_the_code_expects(service: str, connection: Connection) -> None:
    importlib.import_module(f"services.{service}.origins")  # whoever has a table stands there
    projections = vars(importlib.import_module(f"services.{service}.projections"))
    models = [value for value in projections.values() if isinstance(value, MetaData)]
    assert models
    context = MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: kind != "schema" or name == service,
            "version_table_schema": service,
        },
    )
    keys = [person_keys(service).metadata] if service != "auth" else []
    everything: Any = [*models, *keys, chassis_tables(service).metadata]
    assert compare_metadata(context, everything) == []
