"""What the command line reads from the environment and `.env` (README, Settings)."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Self, TypeVar

from cli.console.failure import USAGE, BadSettings, Failure
from cli.embedded.errors import NATS_PORT_SETTING, POSTGRES_PORT_SETTING
from cli.embedded.home import Home
from libs.chassis.environment import merged, read_env_file
from libs.chassis.environment import value_of as environment_value

PORT_SETTING: Final = "PAGER_PORT"
SIMULATOR_PORT_SETTING: Final = "PAGER_SIMULATOR_PORT"
DEFAULT_PORT: Final = 3000
DEFAULT_SIMULATOR_PORT: Final = 3001
DEFAULT_ADMIN: Final = "admin@pager.local"
T = TypeVar("T")


def read_environment() -> dict[str, str]:
    """The environment over the entries of `.env` in the working folder, which services read by the same rule.

    Raises `BadSettings` where that file holds what is no setting.
    """
    from_file, faults = read_env_file()
    if faults:
        raise BadSettings(*faults)
    return merged(os.environ, from_file)


def value_of(environment: Mapping[str, str], name: str) -> str | None:
    """As `environment.value_of`. Raises `Failure`."""
    try:
        return environment_value(environment, name)
    except ValueError as error:
        raise Failure(str(error), USAGE) from None


def port_of(environment: Mapping[str, str], name: str, default: int) -> int:
    """A port by its setting; 0 stands for any free one. Raises `Failure` where it is none."""
    text = environment.get(name) or str(default)
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) > 65_535:
        raise Failure(
            f"{name}: {text[:80]!r} is not a port; choose one between 1024 and 65535, or 0 for any free one", USAGE
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
        faults: list[str] = []
        if environment is None:
            from_file, faults = read_env_file()
            environment = merged(os.environ, from_file)
        given = environment

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
