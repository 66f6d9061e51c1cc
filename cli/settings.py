"""What the command line reads from the environment and `.env` (README, Settings)."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self, TypeVar

from dotenv import dotenv_values

from cli.console.failure import USAGE, BadSettings, Failure
from cli.embedded.errors import NATS_PORT_SETTING, POSTGRES_PORT_SETTING
from cli.embedded.home import Home

PORT_SETTING: Final = "PAGER_PORT"
SIMULATOR_PORT_SETTING: Final = "PAGER_SIMULATOR_PORT"
DEFAULT_PORT: Final = 3000
DEFAULT_SIMULATOR_PORT: Final = 3001
DEFAULT_ADMIN: Final = "admin@pager.local"
ENVIRONMENT_FILE: Final = Path(".env")
T = TypeVar("T")


def read_environment(environment: Mapping[str, str] = os.environ, file: Path = ENVIRONMENT_FILE) -> dict[str, str]:
    """The environment over the entries of `.env` in the working folder, which services read by the same rule.

    Raises `Failure` where that file cannot be read.
    """
    try:
        from_file = dotenv_values(file) if file.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{file}: {getattr(error, 'strerror', None) or 'is no text'}", USAGE) from None
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
    faults: tuple[str, ...] = ()
    """What of these could not be read, a line each; a default stands in its place."""

    @property
    def ports(self) -> dict[str, int]:
        """Those that are to be listened on, by their settings; 0 for any free one."""
        return {
            PORT_SETTING: self.port,
            SIMULATOR_PORT_SETTING: self.simulator_port if self.simulators else 0,
            NATS_PORT_SETTING: self.nats_port if self.nats_url is None else 0,
            POSTGRES_PORT_SETTING: self.postgres_port if self.database_url is None else 0,
        }

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read everything; raises `BadSettings` naming each setting at fault."""
        found = cls.read(environment)
        if found.faults:
            raise BadSettings(*found.faults)
        return found

    @classmethod
    def read(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Read what the command line itself uses, with its faults, for whoever looks at all settings together."""
        given = read_environment() if environment is None else environment
        faults: list[str] = []

        def read(one: Callable[[], T], default: T) -> T:
            try:
                return one()
            except Failure as failure:
                faults.append(str(failure))
                return default

        found = cls(
            home=Home.from_environment(given),
            environment=given,
            port=read(lambda: port_of(given, PORT_SETTING, DEFAULT_PORT), 0),
            simulator_port=read(lambda: port_of(given, SIMULATOR_PORT_SETTING, DEFAULT_SIMULATOR_PORT), 0),
            nats_port=read(lambda: port_of(given, NATS_PORT_SETTING, 0), 0),
            postgres_port=read(lambda: port_of(given, POSTGRES_PORT_SETTING, 0), 0),
            database_url=read(lambda: value_of(given, "PAGER_DATABASE_URL"), None),
            nats_url=read(lambda: value_of(given, "PAGER_NATS_URL"), None),
        )
        return replace(found, faults=tuple(faults))
