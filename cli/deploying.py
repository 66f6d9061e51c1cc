"""The commands `pager prepare …` and `pager deploy-config …`: how each is called; bodies are imported when called."""

from pathlib import Path
from typing import Annotated

import typer

prepare = typer.Typer(no_args_is_help=True, help="What a deployment runs before its services.")
deploy_config = typer.Typer(no_args_is_help=True, help="Secrets, roles and accounts of a deployment.")

Json = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]


@prepare.command("schemas")
def prepare_schemas(as_json: Json = False) -> None:
    """Migrate the schemas of PAGER_DATABASE_URL, the owner's; roles are left alone."""
    from cli.commands.prepare import schemas as run
    from cli.settings import Settings

    run(Settings.from_environment(), as_json=as_json)


@prepare.command("streams")
def prepare_streams(
    replicas: Annotated[int, typer.Option(min=1, max=5, help="Copies of each stream: 3 on a cluster of three.")] = 1,
    as_json: Json = False,
) -> None:
    """Declare the streams at PAGER_NATS_URL, the operator's: made, brought up to date, or refused; never emptied."""
    from cli.commands.prepare import streams as run
    from cli.settings import Settings

    run(Settings.from_environment(), replicas, as_json=as_json)


@deploy_config.command("compose")
def config_compose(
    folder: Annotated[Path, typer.Option(help="The folder of compose.yaml.")] = Path("deploy/compose"),
    vendors: Annotated[
        bool, typer.Option("--vendors/--simulated", help="Push to Apple and Google, or to the simulators.")
    ] = False,
    public_url: Annotated[str, typer.Option(help="Where people reach the gateway.")] = "http://localhost:3000",
    as_json: Json = False,
) -> None:
    """Write secrets/ and .env for `docker compose`; a second call keeps every password."""
    from cli.commands.deploy_config import for_compose as run

    run(folder, vendors=vendors, public_url=public_url, as_json=as_json)


@deploy_config.command("kubernetes")
def config_kubernetes(
    postgres_host: Annotated[str, typer.Option(help="As the pods see it.")],
    nats_url: Annotated[str, typer.Option(help="As the pods see it: tls://host:port (or nats://, without TLS).")],
    folder: Annotated[Path, typer.Option(help="Keep it: a second call keeps every password that is there.")],
    postgres_port: Annotated[int, typer.Option(min=1, max=65_535)] = 5432,
    namespace: Annotated[str, typer.Option(help="Where the Secrets go.")] = "pager",
    as_json: Json = False,
) -> None:
    """Write the Secrets of the Helm chart and the roles for PostgreSQL."""
    from cli.commands.deploy_config import for_kubernetes as run
    from cli.deployment.installation import Addresses

    run(folder, Addresses(postgres_host, nats_url, postgres_port), namespace, as_json=as_json)


@deploy_config.command("nats-accounts")
def config_nats_accounts() -> None:
    """Print the accounts and permissions for nats-server, with passwords by reference."""
    from cli.commands.deploy_config import nats_accounts as run

    run()
