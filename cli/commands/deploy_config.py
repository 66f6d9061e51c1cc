"""`pager deploy-config compose|kubernetes|nats-accounts`: secrets, roles and accounts of a deployment."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from cli.commands.options import Json
from cli.console.failure import USAGE, Failure
from cli.console.output import console, print_json
from cli.embedded.files import write_private
from cli.settings import read_environment

if TYPE_CHECKING:
    from cli.deployment.installation import Addresses, Installation

deploy_config = typer.Typer(
    name="deploy-config", no_args_is_help=True, help="Secrets, roles and accounts of a deployment."
)

STATE: Final = "state"
SECRETS: Final = "secrets"


@deploy_config.command("compose")
def for_compose(
    folder: Annotated[Path, typer.Option(help="The folder of compose.yaml.")] = Path("deploy/compose"),
    vendors: Annotated[
        bool, typer.Option("--vendors/--simulated", help="Push to Apple and Google, or to the simulators.")
    ] = False,
    public_url: Annotated[str, typer.Option(help="Where people reach the gateway.")] = "http://localhost:3000",
    as_json: Json = False,
) -> None:
    """Write secrets/ and .env for `docker compose`; a second call keeps every password.

    For example: pager deploy-config compose --public-url https://pager.example.org
    """
    from cli.deployment import compose
    from cli.deployment.installation import Installation

    installation = Installation.at(folder / SECRETS / STATE, compose.ADDRESSES, read_environment())
    written = write_folder(folder / SECRETS, compose.files(installation))
    has_previous = installation.secrets.previous_master_key is not None
    text = compose.environment_file(vendors=vendors, public_url=public_url, previous_master_key=has_previous)
    environment = folder / ".env"
    environment.write_text(text, encoding="utf-8")
    kept = folder / SECRETS / "admin-password"
    then = f"cd {shlex.quote(str(folder))} && docker compose up --build --wait"
    _tell(installation, [*written, environment], kept, then, as_json=as_json)


@deploy_config.command("kubernetes")
def config_kubernetes(
    postgres_host: Annotated[str, typer.Option(help="As the pods see it.")],
    nats_url: Annotated[str, typer.Option(help="As the pods see it: tls://host:port (or nats://, without TLS).")],
    folder: Annotated[Path, typer.Option(help="Keep it: a second call keeps every password that is there.")],
    postgres_port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port.")] = 5432,
    namespace: Annotated[str, typer.Option(help="Where the Secrets go.")] = "pager",
    as_json: Json = False,
) -> None:
    """Write the Secrets of the Helm chart and the roles for PostgreSQL.

    For example: pager deploy-config kubernetes --folder secrets --postgres-host db --nats-url tls://nats:4222
    """
    from cli.deployment.installation import Addresses

    for_kubernetes(folder, Addresses(postgres_host, nats_url, postgres_port), namespace, as_json=as_json)


def for_kubernetes(folder: Path, addresses: "Addresses", namespace: str, *, as_json: bool) -> None:
    """Write `<folder>/kubernetes-secrets.json` and `roles.sql`. Raises `Failure` or `StartError`."""
    from cli.deployment import kubernetes
    from cli.deployment.installation import Installation
    from cli.stack import secrets_file

    if folder.is_dir() and folder.stat().st_mode & 0o077:
        raise Failure(f"--folder: others may enter {folder}: name a new one, or chmod 700 it", USAGE)
    installation = Installation.at(folder / STATE, addresses, read_environment())
    written = write_folder(folder, kubernetes.files(installation, namespace))
    kept = folder / STATE / secrets_file.FILE_NAME
    _tell(installation, written, kept, f"kubectl apply -f {shlex.quote(str(written[0]))}", as_json=as_json)


@deploy_config.command("nats-accounts")
def nats_accounts() -> None:
    """Print the accounts and permissions for nats-server, with passwords by reference.

    For example: pager deploy-config nats-accounts > nats-accounts.conf
    """
    from cli.deployment.bus import accounts_by_reference

    sys.stdout.write(accounts_by_reference())


def write_folder(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write the files, readable to every account, into a folder that only its owner may enter.

    Compose mounts single files as they are, owner and mode included, into containers that run as another account;
    what keeps everybody else out is the folder.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        status = folder.stat()
        for name, text in files.items():
            path = folder / name
            write_private(path, text, status.st_uid, status.st_gid)
            path.chmod(0o644)
    except OSError as error:
        raise Failure(f"--folder: cannot write {error.filename}: {error.strerror}") from None
    return [folder / name for name in files]


def _tell(installation: "Installation", written: list[Path], kept: Path, then: str, *, as_json: bool) -> None:
    """`kept`: the file with the admin's password."""
    if as_json:
        print_json({"files": [str(path) for path in written], "adminEmail": installation.secrets.admin_email})
        return
    out = console()
    for path in written:
        out.print(f"  wrote {path}")
    first = " (made just now)" if installation.secrets.first else ""
    out.print(f"Admin: {installation.secrets.admin_email}; the password is in {kept}{first}.")
    out.print(f"Next: {then}")
