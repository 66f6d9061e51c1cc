"""`pager prepare schemas|streams`: what a deployment runs before its services, on servers that somebody else runs."""

from typing import Annotated

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json, table
from cli.settings import Settings

prepare = typer.Typer(name="prepare", no_args_is_help=True, help="What a deployment runs before its services.")


@prepare.command("schemas")
def prepare_schemas(as_json: Json = False) -> None:
    """Migrate the schemas of PAGER_DATABASE_URL, the owner's; roles are left alone.

    For example: pager prepare schemas
    """
    schemas(Settings.from_environment(), as_json=as_json)


def schemas(settings: Settings, *, as_json: bool) -> None:
    """Migrate every schema as the owner of `PAGER_DATABASE_URL`; roles and their passwords are left alone.

    Raises `Failure`.
    """
    from cli.stack.schemas import migrate_all, new_epochs

    if settings.database_url is None:
        raise Failure("PAGER_DATABASE_URL: name the owner's URL (PAGER_DATABASE_URL_FILE: a file with it)", USAGE)
    migrated, epochs = migrate_all(settings.database_url), new_epochs(settings.database_url)
    if as_json:
        print_json({"migrated": migrated, "epochs": epochs})
        return
    rows = [(service, ", ".join(revisions) or "up to date") for service, revisions in migrated.items()]
    console().print(table(None, ("schema", "migrated"), rows))
    for service, number in epochs.items():
        console().print(f"the log of {service} was made anew: epoch {number} has begun")


@prepare.command("streams")
def prepare_streams(
    replicas: Annotated[int, typer.Option(min=1, max=5, help="Copies of each stream: 3 on a cluster of three.")] = 1,
    as_json: Json = False,
) -> None:
    """Declare the streams at PAGER_NATS_URL, the operator's: made, brought up to date, or refused; never emptied.

    For example: pager prepare streams --replicas 3
    """
    streams(Settings.from_environment(), replicas, as_json=as_json)


def streams(settings: Settings, replicas: int, *, as_json: bool) -> None:
    """Declare every stream as the operator of `PAGER_NATS_URL`. Raises `Failure`."""
    import asyncio

    from cli.reach.streams import declare_at

    if settings.nats_url is None:
        raise Failure("PAGER_NATS_URL: name the operator's URL (PAGER_NATS_URL_FILE: a file with it)", USAGE)
    declared = asyncio.run(declare_at(settings.nats_url, replicas))
    if as_json:
        print_json({"streams": declared, "replicas": replicas})
        return
    console().print(table(None, ("stream", "outcome"), list(declared.items())))
