"""Migrations of a service's schema: Alembic, up and down, as the role that owns the tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from libs.chassis.settings import check_service

_LOOK_AGAIN = 0.1
_ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


@dataclass(frozen=True)
class MigrationStatus:
    service: str
    current: str | None
    head: str
    pending: tuple[str, ...]


def upgrade(service: str, url: str, revision: str = "head") -> None:
    """Bring a schema up to a revision. `url` is the owner's, not the service's (design, rule 13)."""
    _with_connection(service, url, lambda config, _connection: command.upgrade(config, revision))


def downgrade(service: str, url: str, revision: str = "-1") -> None:
    """Take a schema down, by default by one revision; `base` removes everything."""
    _with_connection(service, url, lambda config, _connection: command.downgrade(config, revision))


def status(service: str, url: str) -> MigrationStatus:
    """Where a schema stands and what is still to be run."""

    def read(config: Config, connection: Connection) -> MigrationStatus:
        script = ScriptDirectory.from_config(config)
        context = MigrationContext.configure(connection, opts={"version_table_schema": service})
        current = context.get_current_revision()
        head = script.get_current_head() or "base"
        pending = [r.revision for r in script.iterate_revisions(head, current or "base") if r.revision != current]
        return MigrationStatus(service, current, head, tuple(reversed(pending)))

    return _with_connection(service, url, read)


def _take_turn(connection: Connection, service: str) -> None:
    """Two migrations of one schema at once (two `pager up`, two Helm hooks) wait for one another.

    In short looks: CREATE INDEX CONCURRENTLY waits for every snapshot, also for that of a session which waits for us.
    """
    turn = text("SELECT pg_try_advisory_lock(hashtext(:name))")
    while not connection.execute(turn, {"name": f"pager/migrate/{service}"}).scalar_one():
        connection.commit()
        time.sleep(_LOOK_AGAIN)
    connection.commit()


def _with_connection(service: str, url: str, run: Callable[[Config, Connection], T]) -> T:
    check_service(service)
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "libs" / "chassis" / "migrations"))
    config.set_main_option("version_locations", str(_ROOT / "services" / service / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        _take_turn(connection, service)
        config.attributes.update(connection=connection, schema=service)
        result = run(config, connection)
        connection.commit()
    return result
