"""Backups of a world's database and what a restore makes of it, as operators do it: the whole database, or one log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import sql

from libs.chassis.store.store import is_away
from tests.rest import restlessness
from tests.world import World


async def _run(world: World, database: str, *statements: sql.Composed | sql.SQL) -> None:
    url = world.servers.database_url("superuser", database)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for statement in statements:
            await connection.execute(statement)


@asynccontextmanager
async def backup(world: World) -> AsyncIterator[str]:
    """A copy of the database as it is now, while services run; they lose their connections for a moment."""
    names = {"saved": sql.Identifier(f"{world.database}_saved"), "database": sql.Identifier(world.database)}
    await _run(
        world,
        "postgres",
        sql.SQL("ALTER DATABASE {database} ALLOW_CONNECTIONS false").format(**names),
        sql.SQL("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}").format(
            sql.Literal(world.database)
        ),
        sql.SQL("CREATE DATABASE {saved} TEMPLATE {database}").format(**names),
        sql.SQL("ALTER DATABASE {database} ALLOW_CONNECTIONS true").format(**names),
    )
    try:
        yield f"{world.database}_saved"
    finally:
        await _run(world, "postgres", sql.SQL("DROP DATABASE {saved}").format(**names))


async def restore(world: World, saved: str) -> None:
    """The database is as it was then, sequences and cursors included; whoever is connected is thrown out."""
    names = {"saved": sql.Identifier(saved), "database": sql.Identifier(world.database)}
    await _run(
        world,
        "postgres",
        sql.SQL("DROP DATABASE {database} WITH (FORCE)").format(**names),
        sql.SQL("CREATE DATABASE {database} TEMPLATE {saved}").format(**names),
    )


async def back_again(world: World) -> None:
    """Return when every service works with the database as it is now; their pools learn of it by failing once."""

    async def working() -> list[str]:
        try:
            await restlessness(world)
        except Exception as error:
            if not is_away(error):
                raise
            return [str(error)]
        asked = [(name, await world.rpc(name, "health")) for name in world.services]
        return [name for name, reply in asked if not (reply.ok and reply.data["active"] and reply.data["ready"])]

    await world.eventually(working, lambda found: not found, "every service at work")


async def cut_log(world: World, service: str, after: int) -> None:
    """One log alone ends where it did once; its positions are given out again."""
    names = {
        "events": sql.Identifier(service, "stored_events"),
        "sequence": sql.Literal(f"{service}.stored_events_notification_id_seq"),
        "after": sql.Literal(after),
    }
    await _run(
        world,
        world.database,
        sql.SQL("DELETE FROM {events} WHERE notification_id > {after}").format(**names),
        sql.SQL("SELECT setval({sequence}::regclass, greatest({after}, 1), {after} > 0)").format(**names),
    )
