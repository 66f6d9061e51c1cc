"""`pager migrate up|down|status`: the schemas, one service or all."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.options import Json
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
    """Bring schemas to their newest revision, or to the one named."""
    _migrate("up", service, to, as_json=as_json)


@migrations.command("down")
def migrate_down(
    service: Annotated[str, typer.Argument(help="A service.")], to: Revision = None, as_json: Json = False
) -> None:
    """Take a schema back by one revision, or to the one named: what only the newer one holds is lost."""
    _migrate("down", service, to, as_json=as_json)


@migrations.command("status")
def migrate_status(service: OneService = None, as_json: Json = False) -> None:
    """Where schemas stand."""
    _migrate("status", service, None, as_json=as_json)


def _migrate(direction: str, service: str | None, revision: str | None, *, as_json: bool) -> None:
    """`direction` is `up`, `down` or `status`. Raises `Failure` or `StartError`."""
    import asyncio

    from libs.contracts.subjects import SERVICES

    settings = Settings.from_environment()
    if service is not None and service not in SERVICES:
        raise Failure(f"{service!r} is none of {', '.join(SERVICES)}", USAGE)
    if direction == "down" and service is None:
        raise Failure("name the service whose schema is to go down", USAGE)
    if revision is not None and service is None:
        raise Failure("--to belongs to one service: name it", USAGE)
    found = asyncio.run(_migrated(settings, direction, (service,) if service else SERVICES, revision))
    if as_json:
        print_json([vars(status) for status in found])
        return
    rows = [(s.service, s.current or "-", s.head, ", ".join(s.pending) or "-") for s in found]
    console().print(table(None, ("service", "current", "head", "pending"), rows))


async def _migrated(
    settings: Settings, direction: str, services: tuple[str, ...], revision: str | None
) -> list["MigrationStatus"]:
    import asyncio

    from sqlalchemy.exc import SQLAlchemyError

    from cli.reach.doors import database_door
    from libs.chassis.store.migrate import MigrationRefused

    async with database_door(settings, "owner", make=direction == "up") as url:
        try:
            return [await asyncio.to_thread(_one, direction, service, url, revision) for service in services]
        except MigrationRefused as refused:
            raise Failure(str(refused), USAGE) from None
        except SQLAlchemyError as error:
            raise Failure(f"migration failed: {getattr(error, 'orig', None) or error}") from None


def _one(direction: str, service: str, url: str, revision: str | None) -> "MigrationStatus":
    from libs.chassis.store import migrate

    if direction == "up":
        migrate.upgrade(service, url, revision or "head")
    elif direction == "down":
        migrate.downgrade(service, url, revision)
    return migrate.status(service, url)
