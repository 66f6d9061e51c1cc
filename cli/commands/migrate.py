"""`pager migrate up|down|status`: the schemas, one service or all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Json, Yes
from cli.console.asking import agree
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.settings import Settings

if TYPE_CHECKING:
    from libs.chassis.store.migrate import MigrationStatus

migrations = typer.Typer(name="migrate", no_args_is_help=True, help="Schemas of the services.")

OneService = Annotated[str | None, typer.Argument(help="A service; all by default.")]
Revision = Annotated[str | None, typer.Option("--to", metavar="REVISION", help="A revision; `base` is nothing at all.")]


@migrations.command("up")
def migrate_up(service: OneService = None, to: Revision = None, as_json: Json = False) -> None:
    """Bring schemas to their newest revision, or to the one named.

    For example: pager migrate up incidents
    """
    _migrate("up", service, to, as_json=as_json)


@migrations.command("down")
def migrate_down(
    service: Annotated[str, typer.Argument(help="A service.")],
    to: Revision = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take a schema back by one revision, or to the one named: what only the newer one holds is lost.

    Only while nothing runs. A log that was taken down to `base` goes on in a new epoch once it is up again.

    For example: pager migrate down incidents --to 0002
    """
    import asyncio

    from libs.contracts.subjects import SERVICES, UPSTREAMS

    settings = _settings(service)
    question = asyncio.run(losses(settings, service, to))
    if not (yes or as_json):
        console().print(question)
    agree("Go on?", yes=yes, as_json=as_json, otherwise="nothing was taken back")
    found = asyncio.run(_taken_down(settings, service, to))
    _show([found], as_json=as_json)
    if not as_json:
        then = "" if found.current is None else f", then `pager rebuild {service}`: tables that come back are empty"
        console().print(f"to go up again: `pager migrate up {service}`{then}")
        if found.current is None:
            readers = " ".join(reader for reader in SERVICES if service in UPSTREAMS[reader])
            told = f"; `pager rebuild` of {readers} forgets what the lost log had told them" if readers else ""
            console().print(f"then start it{told}")


@migrations.command("status")
def migrate_status(service: OneService = None, as_json: Json = False) -> None:
    """Where schemas stand.

    For example: pager migrate status
    """
    _migrate("status", service, None, as_json=as_json)


def _migrate(direction: str, service: str | None, revision: str | None, *, as_json: bool) -> None:
    """`direction` is `up` or `status`. Raises `Failure` or `StartError`."""
    import asyncio

    from libs.contracts.subjects import SERVICES

    settings = _settings(service)
    if revision is not None and service is None:
        raise Failure("--to belongs to one service: name it", USAGE)
    found = asyncio.run(_migrated(settings, direction, (service,) if service else SERVICES, revision))
    _show(found, as_json=as_json)


def _settings(service: str | None) -> Settings:
    from libs.contracts.subjects import SERVICES

    if service is not None and service not in SERVICES:
        raise Failure(f"{service!r} is none of {', '.join(SERVICES)}", USAGE)
    return Settings.from_environment()


def _show(found: list["MigrationStatus"], *, as_json: bool) -> None:
    if as_json:
        print_json([vars(status) for status in found])
        return
    rows = [(s.service, s.current or "-", s.head, ", ".join(s.pending) or "-") for s in found]
    console().print(table(None, ("service", "current", "head", "pending"), rows))


@asynccontextmanager
async def _schemas(settings: Settings, *, make: bool = False) -> AsyncIterator[str]:
    """The owner's URL; what goes wrong with it is a `Failure`."""
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from cli.reach.doors import database_door
    from libs.chassis.store.migrate import MigrationRefused

    async with database_door(settings, "owner", make=make) as url:
        try:
            yield url
        except MigrationRefused as refused:
            raise Failure(str(refused), USAGE) from None
        except SQLAlchemyError as error:
            raise Failure(f"migration failed: {getattr(error, 'orig', None) or error}") from None
        except psycopg.Error as error:
            raise Failure(f"migration failed: {error}") from None


async def _migrated(
    settings: Settings, direction: str, services: tuple[str, ...], revision: str | None
) -> list["MigrationStatus"]:
    from asyncio import to_thread

    from cli.reach.epochs import begin_where_made_anew
    from libs.chassis.store import migrate

    async with _schemas(settings, make=direction == "up") as url:
        if direction == "up":
            for service in services:
                await to_thread(migrate.upgrade, service, url, revision or "head")
            await to_thread(begin_where_made_anew, url)
        return [await to_thread(migrate.status, service, url) for service in services]


async def losses(settings: Settings, service: str, revision: str | None) -> str:
    """What a way down would cost, in words for whoever is asked. Raises `Failure` while something runs."""
    from asyncio import to_thread

    from cli.reach.at_work import require_nobody
    from cli.reach.epochs import events_of
    from libs.chassis.store import migrate

    async with _schemas(settings) as url:
        way = await to_thread(migrate.way_down, service, url, revision)
        await require_nobody(settings, url)
        if way.to != "base":
            brought = "; ".join(f"{name} ({what.rstrip('.')})" for name, what in way.taken_back)
            return f"{service} goes down to {way.to}. Lost is what only these hold: {brought or 'nothing'}."
        again = " Alerts that ALERTS still has are read and paged again." if service == "incidents" else ""
        events = await to_thread(events_of, url, service)
        return f"{service} goes down to nothing. Lost are its log with {events} events, and all its tables.{again}"


async def _taken_down(settings: Settings, service: str, revision: str | None) -> "MigrationStatus":
    from asyncio import to_thread

    from cli.reach.at_work import require_nobody
    from libs.chassis.store import migrate

    async with _schemas(settings) as url:
        await require_nobody(settings, url)
        await to_thread(migrate.downgrade, service, url, revision)
        return await to_thread(migrate.status, service, url)
