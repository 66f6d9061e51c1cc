"""The database as a role of ours, wherever it runs: of the stack that runs, outside, or started for the while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.console.failure import USAGE, Failure
from cli.embedded.database import database_url, role_name
from cli.embedded.postgres import EmbeddedPostgres
from cli.reach import outside
from cli.reach.running import run_of
from cli.settings import Settings


@asynccontextmanager
async def database_door(settings: Settings, user: str, *, make: bool = False) -> AsyncIterator[str]:
    """The URL of `owner` or `auditor`. Raises `Failure` or `StartError`.

    With `make` (only `owner`) roles, database and schemas are made where they are missing. Without, nothing is: a home
    without a database is most likely a mistyped one.
    """
    home = settings.home
    if settings.database_url is None and not make and not home.postgres.exists():
        raise Failure(f"nothing here: {home.path} holds no database of Pager's; name its PAGER_HOME", USAGE)
    role = role_name(user)
    if settings.database_url is not None:
        if make:
            yield (await outside.prepare(settings.database_url, home.credentials().postgres)).owner
        else:
            yield await outside.url_as(settings.database_url, role)
        return
    try:
        address = str(run_of(settings)["postgres"]).partition("://")[2].partition("/")[0]
    except Failure:
        async with EmbeddedPostgres(home, settings.postgres_port) as postgres:
            yield postgres.url(user)
        return
    host, _, port = address.rpartition(":")
    yield database_url(host, int(port), role, home.credentials().postgres[role])
