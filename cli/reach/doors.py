"""The database as a role of ours, wherever it runs: of the stack that runs, outside, or started for the while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cli.console.failure import USAGE, Failure
from cli.embedded.credentials import OWNER
from cli.embedded.database import database_url, role_name
from cli.embedded.postgres import EmbeddedPostgres
from cli.reach import outside
from cli.reach.running import run_of
from cli.settings import Settings


@asynccontextmanager
async def database_door(settings: Settings, user: str, *, make: bool = False) -> AsyncIterator[str]:
    """The URL of `owner` or `auditor`. Raises `Failure` or `StartError`.

    A home without a database is most likely a mistyped one: with `make` it gets one, else it stays as it is.
    """
    home = settings.home
    if settings.database_url is None and not make and not home.postgres.exists():
        raise Failure(f"nothing here: {home.path} holds no database of Pager's; name its PAGER_HOME", USAGE)
    passwords = settings.home.credentials().postgres
    role = role_name(user)
    if settings.database_url is not None:
        if role == OWNER:
            yield (await outside.prepare(settings.database_url, passwords)).owner
        else:
            yield await outside.reading_url(settings.database_url, role, passwords[role])
        return
    try:
        address = str(run_of(settings)["postgres"]).partition("://")[2].partition("/")[0]
    except Failure:
        async with EmbeddedPostgres(settings.home, settings.postgres_port) as postgres:
            yield postgres.url(user)
        return
    host, _, port = address.rpartition(":")
    yield database_url(host, int(port), role, passwords[role])
