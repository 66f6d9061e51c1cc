"""The database `pager`: its roles, and a schema per service that only the migrations' owner may change."""

import hashlib
import hmac
import secrets
from base64 import b64encode
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from cli.embedded.credentials import AUDITOR, OWNER, STATEFUL_SERVICES, SUPERUSER
from libs.chassis.store.connections import session
from libs.chassis.store.roles import auditor_grants

DATABASE: Final = "pager"
SCRAM_ROUNDS: Final = 4096
_PLAIN_ROLE: Final = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS")


def role_name(user: str) -> str:
    """`superuser`, `owner` and `auditor` by their PostgreSQL names; a service's role is `pager_<service>`.

    Raises `KeyError` for another one.
    """
    special = {"superuser": SUPERUSER, "owner": OWNER, "auditor": AUDITOR}
    return special.get(user) or {service: f"pager_{service}" for service in STATEFUL_SERVICES}[user]


def database_url(host: str, port: int, role: str, password: str | None = None, database: str = DATABASE) -> str:
    """A libpq URL; without a password it may be shown."""
    secret = "" if password is None else f":{quote(password, safe='')}"
    return f"postgresql://{quote(role, safe='')}{secret}@{host}:{port}/{database}"


async def database_setup(
    url: str, passwords: Mapping[str, str], database: str = DATABASE, *, rounds: int = SCRAM_ROUNDS
) -> None:
    """Make roles, database and schemas, or bring existing ones to this state; safe to repeat.

    `url` is a superuser's, to any existing database; `passwords` are by role. Services get CONNECT and USAGE
    of their schema, auditors of all schemas, and nothing else: what they may do with a table is granted where the
    table is made. Each new session computes `rounds` of its password anew; tests, which open thousands, ask for
    fewer. Raises `psycopg.Error`.
    """
    begin = session(url, "pager/setup")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, **begin) as connection:
        if database not in await _names(connection, "SELECT datname FROM pg_database"):
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))
    # Roles belong to the whole cluster: this one transaction makes everything else.
    async with await psycopg.AsyncConnection.connect(url, dbname=database, **begin) as connection:
        known = await _names(connection, "SELECT rolname FROM pg_roles")
        for role, password in passwords.items():
            verifier = scram_verifier(password, secrets.token_bytes(16), rounds)
            await _ensure_role(connection, role, verifier, exists=role in known)
        for statement in privileges(database, "postgres", "template1"):
            await connection.execute(statement)
        await _let_auditors_in(connection)


def scram_verifier(password: str, salt: bytes, rounds: int = SCRAM_ROUNDS) -> str:
    """What PostgreSQL stores of an ASCII password (RFC 5803, by default with the 4096 rounds of RFC 7677).

    Computed here, so that no password can get into a log or the statistics of the server; by OpenSSL, since
    libpq's own function takes 8 ms for each.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (b64encode(part).decode("ascii") for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(rounds, *parts)


async def _names(connection: psycopg.AsyncConnection, query: str) -> set[str]:
    cursor = await connection.execute(query.encode("ascii"))
    return {str(row[0]) for row in await cursor.fetchall()}


async def _ensure_role(connection: psycopg.AsyncConnection, role: str, verifier: str, *, exists: bool) -> None:
    name = sql.Identifier(role)
    attributes = sql.SQL("LOGIN") if role == SUPERUSER else _PLAIN_ROLE
    command = sql.SQL("ALTER ROLE {} {} PASSWORD {}" if exists else "CREATE ROLE {} {} PASSWORD {}")
    await connection.execute(command.format(name, attributes, sql.Literal(verifier)))


def privileges(database: str, *closed: str) -> Iterator[sql.Composed]:
    """What makes schemas, and takes everything from PUBLIC that no service needs; for existing roles, repeatable.

    `closed` are further databases that nobody enters without being told: by default everybody may connect to every one
    and make temporary tables there.
    """
    for one in (database, *closed):
        yield sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(one))
    for role in (OWNER, AUDITOR, *map(role_name, STATEFUL_SERVICES)):
        grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO {}")
        yield grant.format(sql.Identifier(database), sql.Identifier(role))
    yield sql.SQL("REVOKE ALL ON SCHEMA {} FROM PUBLIC").format(sql.Identifier("public"))
    for service in STATEFUL_SERVICES:
        schema, name, owner = sql.Identifier(service), sql.Identifier(role_name(service)), sql.Identifier(OWNER)
        for command in (
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}"),
            sql.SQL("ALTER SCHEMA {schema} OWNER TO {owner}"),
            sql.SQL("REVOKE ALL ON SCHEMA {schema} FROM PUBLIC"),
            sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        ):
            yield command.format(schema=schema, role=name, owner=owner)


async def _let_auditors_in(connection: psycopg.AsyncConnection) -> None:
    """Schemas that were migrated before there were auditors; a new one is empty, and its migrations end with this."""
    for service in STATEFUL_SERVICES:
        cursor = await connection.execute("SELECT to_regclass(%s)", (f"{service}.stored_events",))
        if (await cursor.fetchone() or (None,))[0] is not None:
            for statement in auditor_grants(service):
                await connection.execute(statement.encode("ascii"))
