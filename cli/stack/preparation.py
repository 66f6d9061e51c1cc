"""`python -m cli.stack.preparation`: migrates the schemas and declares the streams, in a process that ends afterwards.

A process of its own, because Alembic and SQLAlchemy take a second to import and 40 MiB to keep: it imports while
PostgreSQL starts, and the supervisor stays small. It reads one line of JSON from its input, so that no password is
on a command line: `{"databaseUrl": owner's or null, "natsUrl": URL}`; its last line of output is what it did.
"""

import asyncio
import json
import sys

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from cli.console.failure import TROUBLE, Failure
from cli.reach import streams
from cli.reach.epochs import begin_where_made_anew
from libs.chassis.store import migrate
from libs.contracts.subjects import SERVICES


def migrate_all(url: str) -> dict[str, list[str]]:
    """Bring every schema to its head; the revisions that were run, by service. Raises `Failure`."""
    done = {}
    for service in SERVICES:
        try:
            pending = migrate.status(service, url).pending
            if pending:
                migrate.upgrade(service, url)
        except SQLAlchemyError as error:
            raise Failure(f"migration of {service} failed: {getattr(error, 'orig', None) or error}") from None
        done[service] = list(pending)
    return done


def new_epochs(url: str) -> dict[str, int]:
    """Of logs that were made anew, by service. Raises `Failure`."""
    try:
        return begin_where_made_anew(url)
    except psycopg.Error as error:
        raise Failure(f"no epoch could be begun: {error}") from None


def main() -> int:
    """Do both; a failure is one line on stderr and exit code 1."""
    order = json.loads(sys.stdin.readline() or "null")
    if order is None:  # the supervisor has given up
        return TROUBLE
    try:
        migrated = migrate_all(order["databaseUrl"]) if order["databaseUrl"] else {}
        epochs = new_epochs(order["databaseUrl"]) if order["databaseUrl"] else {}
        declared = asyncio.run(streams.declare_at(order["natsUrl"]))
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.exit_code
    sys.stdout.write(json.dumps({"migrated": migrated, "streams": declared, "epochs": epochs}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
