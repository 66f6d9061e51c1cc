"""One installation's users, passwords and addresses, kept in a folder so that a second call makes no new ones."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, urlsplit

from cli.console.failure import USAGE, Failure
from cli.embedded.credentials import STATEFUL_SERVICES, Credentials
from cli.embedded.database import database_url, role_name
from cli.embedded.home import Home
from cli.stack import secrets_file
from cli.stack.secrets_file import Secrets

PROCESSES: Final = (*STATEFUL_SERVICES, "gateway")


@dataclass(frozen=True)
class Addresses:
    """Where the servers are, as the services see them; `nats` is `nats://host:port` or, with TLS, `tls://host:port`."""

    postgres_host: str
    nats: str
    postgres_port: int = 5432

    def __post_init__(self) -> None:
        parts = urlsplit(self.nats)
        if parts.scheme not in ("nats", "tls") or not parts.hostname or parts.username is not None:
            raise Failure("--nats-url: expected nats://host:port or tls://host:port, without a user", USAGE)
        if not self.postgres_host or any(letter in self.postgres_host for letter in "/@: "):
            raise Failure("--postgres-host: expected a name or an IPv4 address", USAGE)


@dataclass(frozen=True)
class Installation:
    """Everything secret of one installation."""

    folder: Path
    addresses: Addresses
    credentials: Credentials = field(repr=False)
    secrets: Secrets = field(repr=False)

    @classmethod
    def at(cls, folder: Path, addresses: Addresses, environment: Mapping[str, str]) -> Self:
        """Read what the folder holds and make what is missing; `PAGER_ADMIN_…` and `PAGER_MASTER_KEY` are kept too.

        Raises `Failure` or `StartError` where the folder cannot be used.
        """
        home = Home(folder)
        with home.hold():
            secrets = secrets_file.load_or_make(home, environment)
            # What came from the environment is kept as well: the files made here must fit one another next time.
            secrets_file.remember(
                home,
                masterKey=secrets.master_key,
                adminEmail=secrets.admin_email,
                adminPassword=secrets.admin_password,
                **secrets_file.of_sealing_keys(secrets.sealing_keys),
            )
            return cls(home.path, addresses, home.credentials(), secrets)

    def database_url(self, user: str) -> str:
        """For a service, or for `owner`."""
        role = role_name(user)
        return database_url(
            self.addresses.postgres_host, self.addresses.postgres_port, role, self.credentials.postgres[role]
        )

    def nats_url(self, user: str) -> str:
        """For a service, the gateway, `operator`, `auditor` or `sender`."""
        scheme, _, rest = self.addresses.nats.partition("://")
        return f"{scheme}://{user}:{quote(self.credentials.nats[user], safe='')}@{rest}"

    def secret_values(self) -> dict[str, str]:
        """Every secret that a container of ours reads, by the name of its key or file."""
        values = {f"{service}-database-url": self.database_url(service) for service in STATEFUL_SERVICES}
        values |= {f"{process}-nats-url": self.nats_url(process) for process in PROCESSES}
        values |= {f"{service}-sealing-key": key for service, key in self.secrets.sealing_keys.items()}
        before = self.secrets.previous_sealing_keys
        values |= {f"{service}-sealing-key-previous": key for service, key in before.items()}
        if self.secrets.previous_master_key is not None:
            values["master-key-previous"] = self.secrets.previous_master_key
        return values | {
            "owner-database-url": self.database_url("owner"),
            "operator-nats-url": self.nats_url("operator"),
            "master-key": self.secrets.master_key,
            "admin-email": self.secrets.admin_email,
            "admin-password": self.secrets.admin_password,
        }


def to_json(document: object) -> str:
    """JSON for people and for whatever reads YAML."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
