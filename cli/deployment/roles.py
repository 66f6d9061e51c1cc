"""`roles.sql`: the roles, schemas and privileges that Pager needs, for whoever runs PostgreSQL."""

import secrets
from collections.abc import Mapping

from psycopg import sql

from cli.embedded.credentials import AUDITOR, OWNER, STATEFUL_SERVICES
from cli.embedded.database import DATABASE, privileges, role_name, scram_verifier

_HEAD = f"""\
-- Roles, schemas and privileges of Pager. Run it in the database "{DATABASE}", as a superuser or as an owner of that
-- database who may create roles; it may be repeated, and is after an upgrade that brings a new service:
--   psql --set ON_ERROR_STOP=1 --single-transaction --dbname {DATABASE} --file roles.sql
-- Passwords are SCRAM-SHA-256 verifiers, so neither this file nor the server's log shows one.
"""


def roles_sql(passwords: Mapping[str, str]) -> str:
    """The script; `passwords` by role. Nothing in it names other databases of the server."""
    statements: list[str] = []
    for role in (OWNER, AUDITOR, *map(role_name, STATEFUL_SERVICES)):
        name = sql.Identifier(role)
        create = sql.SQL("CREATE ROLE {} LOGIN").format(name).as_string()
        statements.append(f"DO $$ BEGIN {create}; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        verifier = sql.Literal(scram_verifier(passwords[role], secrets.token_bytes(16)))
        statements.append(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(name, verifier).as_string())
    # Who is no superuser may give schemas only to a role that is theirs.
    statements.append(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(OWNER)).as_string())
    statements += [statement.as_string() for statement in privileges(DATABASE)]
    return _HEAD + "".join(f"{statement};\n" for statement in statements)
