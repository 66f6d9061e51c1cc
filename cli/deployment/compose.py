"""What `deploy/compose/compose.yaml` reads: a file per secret, the configuration of NATS, and `.env`."""

from typing import Final

from cli.deployment.installation import Addresses, Installation
from cli.deployment.roles import roles_sql
from cli.embedded.credentials import SUPERUSER
from cli.embedded.nats_accounts import server_config

ADDRESSES: Final = Addresses(postgres_host="postgres", nats="nats://nats:4222")
"""The names of the compose file's services."""
NATS_MONITORING_PORT: Final = 8222
_ENV: Final = """\
# Written by `pager deploy-config compose`; it is read by `docker compose` and holds no secret.
COMPOSE_PROFILES={profile}
PAGER_PUBLIC_URL={public_url}
"""
PREVIOUS_MASTER_KEY: Final = "master-key-previous"


def files(installation: Installation) -> dict[str, str]:
    """The files of the folder `secrets`, by name."""
    passwords = installation.credentials
    # Compose mounts it in any case; auth looks at it where `.env` says so.
    return (
        {PREVIOUS_MASTER_KEY: ""}
        | installation.secret_values()
        | {
            "sender-nats-url": installation.nats_url("sender"),
            "postgres-password": passwords.postgres[SUPERUSER],
            "roles.sql": roles_sql(passwords.postgres),
            "nats.conf": server_config(
                name="pager-1",
                host="0.0.0.0",  # noqa: S104 - inside its container
                port=4222,
                folder="/data",
                passwords=passwords.nats,
                anonymous=False,
                monitoring_port=NATS_MONITORING_PORT,
            ),
        }
    )


def environment_file(*, vendors: bool, public_url: str, previous_master_key: bool = False) -> str:
    """`.env`: which notifier runs (`simulated`, or `vendors` with real credentials) and what is no secret.

    `previous_master_key`: there is one, while it is replaced.
    """
    text = _ENV.format(profile="vendors" if vendors else "simulated", public_url=public_url)
    if previous_master_key:
        text += f"PAGER_MASTER_KEY_PREVIOUS_FILE=/run/secrets/{PREVIOUS_MASTER_KEY}\n"
    return text
