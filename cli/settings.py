"""What the command line reads from the environment and `.env` (README, Settings)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from dotenv import dotenv_values

from cli.console.failure import USAGE, Failure
from cli.embedded.errors import NATS_PORT_SETTING, POSTGRES_PORT_SETTING
from cli.embedded.home import Home

PORT_SETTING: Final = "PAGER_PORT"
SIMULATOR_PORT_SETTING: Final = "PAGER_SIMULATOR_PORT"
DEFAULT_PORT: Final = 3000
DEFAULT_SIMULATOR_PORT: Final = 3001
DEFAULT_ADMIN: Final = "admin@pager.local"
ENVIRONMENT_FILE: Final = Path(".env")


def read_environment(environment: Mapping[str, str] = os.environ, file: Path = ENVIRONMENT_FILE) -> dict[str, str]:
    """The environment over the entries of `.env` in the working folder, which services read by the same rule."""
    from_file = dotenv_values(file) if file.is_file() else {}
    return {name: value for name, value in from_file.items() if value is not None} | dict(environment)


def value_of(environment: Mapping[str, str], name: str) -> str | None:
    """`$<name>`, or the content of the file that `$<name>_FILE` names; None where neither is set.

    Raises:
        Failure: both are set, or the file cannot be read; the line names the setting, never its value.
    """
    path = environment.get(f"{name}_FILE")
    if not path:
        return environment.get(name) or None
    if environment.get(name):
        raise Failure(f"{name} and {name}_FILE are both set: keep one", USAGE)
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{name}_FILE: {getattr(error, 'strerror', None) or 'not a text'}", USAGE) from None


def port_of(environment: Mapping[str, str], name: str, default: int) -> int:
    """A port by its setting; 0 stands for any free one. Raises `Failure` where it is none."""
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise Failure(
            f"{name}: {text!r} is not a port; choose one between 1024 and 65535, or 0 for any free one", USAGE
        )
    return int(text)


@dataclass(frozen=True)
class Settings:
    """How a stack is run. `database_url` is the owner's (or a superuser's) of a PostgreSQL that runs elsewhere,
    `nats_url` that of a NATS elsewhere whose user may declare streams: what is given is not embedded.
    """

    home: Home
    environment: Mapping[str, str] = field(repr=False)
    port: int = DEFAULT_PORT
    simulator_port: int = DEFAULT_SIMULATOR_PORT
    nats_port: int = 0
    postgres_port: int = 0
    database_url: str | None = field(default=None, repr=False)
    nats_url: str | None = field(default=None, repr=False)
    replicas: int = 1
    simulators: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read everything; raises `Failure` naming the setting at fault."""
        given = read_environment() if environment is None else environment
        return cls(
            home=Home.from_environment(given),
            environment=given,
            port=port_of(given, PORT_SETTING, DEFAULT_PORT),
            simulator_port=port_of(given, SIMULATOR_PORT_SETTING, DEFAULT_SIMULATOR_PORT),
            nats_port=port_of(given, NATS_PORT_SETTING, 0),
            postgres_port=port_of(given, POSTGRES_PORT_SETTING, 0),
            database_url=value_of(given, "PAGER_DATABASE_URL"),
            nats_url=value_of(given, "PAGER_NATS_URL"),
        )
