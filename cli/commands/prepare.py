"""`pager prepare schemas|streams`: what a deployment runs before its services, on servers that somebody else runs."""

import asyncio

from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.deployment.streams import declare_at
from cli.settings import Settings
from cli.stack.preparation import migrate_all


def schemas(settings: Settings, *, as_json: bool) -> None:
    """Migrate every schema as the owner of `PAGER_DATABASE_URL`; roles and their passwords are left alone.

    Raises `Failure`.
    """
    if settings.database_url is None:
        raise Failure("PAGER_DATABASE_URL: name the owner's URL (PAGER_DATABASE_URL_FILE: a file with it)", USAGE)
    migrated = migrate_all(settings.database_url)
    if as_json:
        print_json({"migrated": migrated})
        return
    rows = [(service, ", ".join(revisions) or "up to date") for service, revisions in migrated.items()]
    console().print(table(None, ("schema", "migrated"), rows))


def streams(settings: Settings, replicas: int, *, as_json: bool) -> None:
    """Declare every stream as the operator of `PAGER_NATS_URL`. Raises `Failure`."""
    if settings.nats_url is None:
        raise Failure("PAGER_NATS_URL: name the operator's URL (PAGER_NATS_URL_FILE: a file with it)", USAGE)
    declared = asyncio.run(declare_at(settings.nats_url, replicas))
    if as_json:
        print_json({"streams": declared, "replicas": replicas})
        return
    console().print(table(None, ("stream", "outcome"), list(declared.items())))
