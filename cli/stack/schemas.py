"""Brings all schemas to what this version needs."""

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from cli.console.failure import Failure
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
