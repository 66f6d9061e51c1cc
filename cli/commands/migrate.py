"""`pager migrate up|down|status`: the schemas, one service or all."""

import asyncio

from sqlalchemy.exc import SQLAlchemyError

from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.reach.doors import database_door
from cli.settings import Settings
from libs.chassis.store import migrate as migrations
from libs.chassis.store.migrate import MigrationStatus
from libs.contracts.subjects import SERVICES


def migrate(settings: Settings, direction: str, service: str | None, revision: str | None, *, as_json: bool) -> None:
    """`direction` is `up`, `down` or `status`. Raises `Failure` or `StartError`."""
    if service is not None and service not in SERVICES:
        raise Failure(f"{service!r} is none of {', '.join(SERVICES)}", USAGE)
    if direction == "down" and service is None:
        raise Failure("name the service whose schema is to go down", USAGE)
    if revision is not None and service is None:
        raise Failure("--to belongs to one service: name it", USAGE)
    found = asyncio.run(_migrate(settings, direction, (service,) if service else SERVICES, revision))
    if as_json:
        print_json([vars(status) for status in found])
        return
    rows = [(s.service, s.current or "-", s.head, ", ".join(s.pending) or "-") for s in found]
    console().print(table(None, ("service", "current", "head", "pending"), rows))


async def _migrate(
    settings: Settings, direction: str, services: tuple[str, ...], revision: str | None
) -> list[MigrationStatus]:
    async with database_door(settings, "owner") as url:
        try:
            return [await asyncio.to_thread(_one, direction, service, url, revision) for service in services]
        except migrations.MigrationRefused as refused:
            raise Failure(str(refused), USAGE) from None
        except SQLAlchemyError as error:
            raise Failure(f"migration failed: {getattr(error, 'orig', None) or error}") from None


def _one(direction: str, service: str, url: str, revision: str | None) -> MigrationStatus:
    if direction == "up":
        migrations.upgrade(service, url, revision or "head")
    elif direction == "down":
        migrations.downgrade(service, url, revision)
    return migrations.status(service, url)
