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
from libs.chassis.store.connections import session

_LOOK_AGAIN = 0.1
_ROOT = Path(__file__).resolve().parents[3]
T = TypeVar("T")


class MigrationRefused(Exception):
    """A schema cannot be brought to that revision; the text is one line that says why."""


@dataclass(frozen=True)
class MigrationStatus:
    """`current` is None for an empty schema; it may be one that a newer release has made, which we do not know."""

    service: str
    current: str | None
    head: str
    pending: tuple[str, ...]


def upgrade(service: str, url: str, revision: str = "head") -> None:
    """Bring a schema up to a revision. `url` is the owner's, not the service's (promise 13).

    Raises:
        MigrationRefused: there is no such revision, or it lies below where the schema stands.
    """

    def run(config: Config, connection: Connection) -> None:
        place = _place(service, config, connection)
        wanted = place.known[-1] if revision == "head" else revision
        if place.index(wanted) < place.index(place.current):
            raise MigrationRefused(f"{service} stands at {place.current}, above {wanted}: that is a way down")
        command.upgrade(config, wanted)

    _with_connection(service, url, run)


@dataclass(frozen=True)
class WayDown:
    """From where a schema stands to a revision below it."""

    to: str
    """`base`: nothing is left."""
    taken_back: tuple[tuple[str, str], ...]
    """Each revision on the way, and what it had brought in a sentence; the newest first."""


def way_down(service: str, url: str, revision: str | None = None) -> WayDown:
    """What `downgrade` would do; nothing is done.

    Raises:
        MigrationRefused: there is no such revision, or it lies above where the schema stands.
    """
    return _with_connection(service, url, lambda config, connection: _way(service, config, connection, revision))


def downgrade(service: str, url: str, revision: str | None = None) -> None:
    """Take a schema down, by default by one revision; `base` removes everything.

    Raises:
        MigrationRefused: there is no such revision, or it lies above where the schema stands.
    """

    def run(config: Config, connection: Connection) -> None:
        command.downgrade(config, _way(service, config, connection, revision).to)

    _with_connection(service, url, run)


def _way(service: str, config: Config, connection: Connection, revision: str | None) -> WayDown:
    place = _place(service, config, connection)
    at = place.index(place.current)
    if at == 0 and revision is None:
        raise MigrationRefused(f"{service} is empty: there is nothing to take back")
    wanted = place.known[at - 1] if revision is None else revision
    if place.index(wanted) > at:
        raise MigrationRefused(f"{service} stands at {place.current}, below {wanted}: that is a way up")
    script = ScriptDirectory.from_config(config)
    leaving = reversed(place.known[place.index(wanted) + 1 : at + 1])
    return WayDown(wanted, tuple((name, script.get_revision(name).doc) for name in leaving))


def status(service: str, url: str) -> MigrationStatus:
    """Where a schema stands and what is still to be run: nothing, where a newer release has been."""

    def read(config: Config, connection: Connection) -> MigrationStatus:
        place = _place(service, config, connection)
        newer = place.current not in place.known
        pending = () if newer else place.known[place.index(place.current) + 1 :]
        current = None if place.current == "base" else place.current
        return MigrationStatus(service, current, place.known[-1], pending)

    return _with_connection(service, url, read)


@dataclass(frozen=True)
class _Place:
    """Where a schema stands among the revisions that we know, `base` first."""

    service: str
    current: str
    known: tuple[str, ...]

    def index(self, revision: str) -> int:
        if revision not in self.known:
            raise MigrationRefused(f"{self.service} has no revision {revision}, only {', '.join(self.known)}")
        return self.known.index(revision)


def _place(service: str, config: Config, connection: Connection) -> _Place:
    script = ScriptDirectory.from_config(config)
    context = MigrationContext.configure(connection, opts={"version_table_schema": service})
    current = context.get_current_revision() or "base"
    # Alembic begins its own transactions, and none for what must run outside of any.
    connection.commit()
    return _Place(service, current, ("base", *reversed([r.revision for r in script.walk_revisions()])))


def _take_turn(connection: Connection, service: str) -> None:
    """Two migrations of one schema at once (two `pager up`, two Helm hooks) wait for one another.

    In short looks: CREATE INDEX CONCURRENTLY waits for every snapshot, also for that of a session which waits for us.
    """
    turn = text("SELECT pg_try_advisory_lock(hashtext(:name))")
    while not connection.execute(turn, {"name": f"pager/migrate/{service}"}).scalar_one():
        connection.commit()
        time.sleep(_LOOK_AGAIN)
    connection.commit()


def config_of(service: str) -> Config:
    """Where Alembic finds the revisions of a schema."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).resolve().parent / "migrations"))
    config.set_main_option("version_locations", str(_ROOT / "services" / service / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def _with_connection(service: str, url: str, run: Callable[[Config, Connection], T]) -> T:
    check_service(service)
    begin = session(url, f"pager/{service}/migrate")
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool, connect_args=begin)
    config = config_of(service)
    with engine.connect() as connection:
        _take_turn(connection, service)
        config.attributes.update(connection=connection, schema=service)
        result = run(config, connection)
        connection.commit()
    return result
