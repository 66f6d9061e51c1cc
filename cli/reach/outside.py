"""A PostgreSQL that somebody else runs: whether we may set it up, and which URLs follow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg import sql

from cli.console.failure import USAGE, Failure
from cli.embedded.credentials import OWNER, STATEFUL_SERVICES, SUPERUSER
from cli.embedded.database import DATABASE, database_setup, role_name
from cli.reach.urls import with_user
from libs.chassis.store.connections import session


@dataclass(frozen=True)
class DatabaseUrls:
    """The owner's URL, for migrations, and the services' own."""

    owner: str = field(repr=False)
    services: Mapping[str, str] = field(repr=False)


async def prepare(url: str, passwords: Mapping[str, str]) -> DatabaseUrls:
    """Set up roles and schemas where `url` is a superuser's; else use it for everything, with schemas in it.

    A superuser's own password is never touched. Raises `Failure` when the server does not answer or refuses.
    """
    try:
        if await _is_superuser(url):
            # Never the superuser's own: it is somebody else's.
            await database_setup(url, {role: word for role, word in passwords.items() if role != SUPERUSER})
            await _require_unicode(_in_our_database(url, OWNER, passwords[OWNER]))
            return DatabaseUrls(
                owner=_in_our_database(url, OWNER, passwords[OWNER]),
                services={
                    service: _in_our_database(url, role_name(service), passwords[role_name(service)])
                    for service in STATEFUL_SERVICES
                },
            )
        await _require_unicode(url)
        await _make_schemas(url)
    except (psycopg.Error, OSError) as error:
        raise Failure(
            f"PAGER_DATABASE_URL: {error}; name a superuser's URL, or the owner's of a prepared database"
        ) from None
    return DatabaseUrls(owner=url, services=dict.fromkeys(STATEFUL_SERVICES, url))


async def url_as(url: str, role: str) -> str:
    """`url` as it is, or, where it is a superuser's, our database in a role of ours: that asks for no password, and
    changes none, so that a mistyped home does no harm. Raises `Failure`.
    """
    try:
        return _in_role(url, role) if await _is_superuser(url) else url
    except (psycopg.Error, OSError) as error:
        raise Failure(f"PAGER_DATABASE_URL: {error}") from None


async def _is_superuser(url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url, **session(url, "pager/command")) as connection:
        cursor = await connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        row = await cursor.fetchone()
        return bool(row and row[0])


async def _require_unicode(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, **session(url, "pager/command")) as connection:
        encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Failure(
            f"PAGER_DATABASE_URL: the database is {encoding}, which cannot hold what senders write; make one with"
            " ENCODING 'UTF8' TEMPLATE template0",
            USAGE,
        )


async def _make_schemas(url: str) -> None:
    """Schemas for an ordinary owner; the roles that migrations grant to must exist, since it cannot make them."""
    async with await psycopg.AsyncConnection.connect(url, **session(url, "pager/command")) as connection:
        cursor = await connection.execute("SELECT rolname FROM pg_roles")
        known = {str(row[0]) for row in await cursor.fetchall()}
        missing = [role for role in map(role_name, STATEFUL_SERVICES) if role not in known]
        if missing:
            raise Failure(
                f"PAGER_DATABASE_URL: roles are missing ({', '.join(missing)}); name a superuser's URL once", USAGE
            )
        cursor = await connection.execute("SELECT nspname FROM pg_namespace")
        made = {str(row[0]) for row in await cursor.fetchall()}
        for service in STATEFUL_SERVICES:
            # Not IF NOT EXISTS: that asks for CREATE on the database even where nothing is to be made.
            if service not in made:
                await connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(service)))


def _in_our_database(url: str, user: str, password: str) -> str:
    parts = urlsplit(with_user(url, user, password))
    return parts._replace(path=f"/{DATABASE}").geturl()


def _in_role(url: str, role: str) -> str:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query["options"] = f"{query.get('options', '')} -c role={role}".strip()
    return parts._replace(path=f"/{DATABASE}", query=urlencode(query, quote_via=quote)).geturl()
