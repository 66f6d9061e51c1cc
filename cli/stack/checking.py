"""Looks at all settings together, before anything starts: what a process would refuse, and what no process knows.

Part of `cli.stack.preparation`, the process that may import what it takes.
"""

import importlib
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from cli.console.failure import Failure
from cli.embedded.errors import HOME_SETTING, NATS_PORT_SETTING, POSTGRES_PORT_SETTING
from cli.embedded.home import Home
from cli.settings import DEFAULT_ADMIN, PORT_SETTING, SIMULATOR_PORT_SETTING, value_of
from cli.stack.environment import SERVICES, common, of_service
from cli.stack.secrets_file import Secrets, new_key, new_password, stored_sealing_keys
from libs.chassis.settings import ServiceSettings, SettingsError, variables
from libs.chassis.urls import url_fault

MONITOR_PORT_SETTING: Final = "PAGER_MONITOR_PORT"
_OWN: Final = frozenset(
    {HOME_SETTING, PORT_SETTING, SIMULATOR_PORT_SETTING, NATS_PORT_SETTING, POSTGRES_PORT_SETTING}
    | {"PAGER_DEBUG", "PAGER_TEST_SERVERS"}
)
"""What only the command line, or the tests, read."""
_DECIDED: Final = frozenset({"PAGER_PORT_FILE", "PAGER_INSTANCE_FILE"})
"""What a service would read, and is told here."""
_SECRET: Final = ("PAGER_MASTER_KEY", "PAGER_MASTER_KEY_PREVIOUS", "PAGER_ADMIN_EMAIL", "PAGER_ADMIN_PASSWORD")
_URLS: Final = {"PAGER_NATS_URL": ("nats", "tls"), "PAGER_DATABASE_URL": ("postgresql", "postgres")}
_REACHED_BY_US: Final = ("127.0.0.1", "localhost", "0.0.0.0", "::")  # noqa: S104 - none is bound here
"""Where a gateway answers us on loopback."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Checked:
    """`faults` keep everything from starting; `hints` are for people. A line each."""

    faults: tuple[str, ...]
    hints: tuple[str, ...]


def check(environment: Mapping[str, str], ports: Mapping[str, int]) -> Checked:
    """`environment`: as somebody gave it, with `.env`; `ports`: those that are to be listened on, by their settings."""
    faults = [*_home_faults(environment), *_port_faults(environment, ports)]
    faults += _host_faults(environment)
    given, wrong = _values(environment)
    faults += wrong
    known = set(_OWN)
    for service in SERVICES:
        settings: type[ServiceSettings] = importlib.import_module(f"services.{service}.settings").Settings
        known |= {name for variable in variables(settings).values() for name in (variable, f"{variable}_FILE")}
        faults += _refused(settings, _environment_of(service, environment, given))
    return Checked(tuple(dict.fromkeys(faults)), tuple(_hints(environment, known - _DECIDED)))


def _home_faults(environment: Mapping[str, str]) -> Iterator[str]:
    home = Home.from_environment(environment)
    name = str(home.path)
    if _CONTROL.search(name) or not _is_text(name):
        yield f"{HOME_SETTING}: its name has characters that are no text"
    elif home.path.exists() and not home.path.is_dir():
        yield f"{HOME_SETTING}: {home.path} is no folder"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _port_faults(environment: Mapping[str, str], ports: Mapping[str, int]) -> Iterator[str]:
    """Two ports alike, and a monitor's, of which each process needs one of its own."""
    taken: dict[int, str] = {}
    for setting, number in ports.items():
        if number in taken:
            yield f"{setting}: {number} is {taken[number]} already; choose another, or 0 for any free one"
        elif number:
            taken[number] = setting
    if environment.get(MONITOR_PORT_SETTING, "0") not in ("", "0"):
        yield f"{MONITOR_PORT_SETTING}: here several processes would share it; 0 gives each a free one"


def _host_faults(environment: Mapping[str, str]) -> Iterator[str]:
    for setting in ("PAGER_HOST", "PAGER_MONITOR_HOST"):
        if host := environment.get(setting):
            try:
                socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
            except OSError:
                yield f"{setting}: {host} is no address of this machine; 0.0.0.0 stands for all of them"
                continue
            if setting == "PAGER_HOST" and host not in _REACHED_BY_US:
                yield f"{setting}: {host} leaves out 127.0.0.1, where we ask whether all is well; 0.0.0.0 does not"


def _values(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Settings that may stand in files, and what is wrong with those that no process reads as they are."""
    values, faults = {}, []
    for name in (*_URLS, *_SECRET):
        try:
            if value := value_of(environment, name):
                values[name] = value
        except Failure as failure:
            faults.append(str(failure))
    for name, schemes in _URLS.items():
        if name in values and (fault := url_fault(values[name], *schemes)):
            faults.append(f"{name}: {fault}")
            del values[name]
    return values, faults


def _environment_of(service: str, environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What the process would get; what only a start can know has the form that it will have."""
    secrets = Secrets(
        given.get("PAGER_MASTER_KEY") or new_key(),
        given.get("PAGER_ADMIN_EMAIL") or DEFAULT_ADMIN,
        given.get("PAGER_ADMIN_PASSWORD") or new_password(),
        given.get("PAGER_MASTER_KEY_PREVIOUS"),
        sealing_keys=stored_sealing_keys({}),
    )
    return of_service(
        service,
        1,
        common(environment),
        nats_url=given.get("PAGER_NATS_URL", "nats://127.0.0.1"),
        database_url=given.get("PAGER_DATABASE_URL", "postgresql://127.0.0.1"),
        secrets=secrets,
        port=0,
        public_url="http://127.0.0.1",
    )


def _refused(settings: type[ServiceSettings], environment: Mapping[str, str]) -> tuple[str, ...]:
    with _instead_of_ours(environment):
        try:
            settings.load()
        except SettingsError as error:
            return error.faults
        return ()


@contextmanager
def _instead_of_ours(environment: Mapping[str, str]) -> Iterator[None]:
    ours = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(ours)


def _hints(environment: Mapping[str, str], known: set[str]) -> Iterator[str]:
    """Names that nobody reads. With our prefix they are said; the others where they come near to one of ours."""
    for name in sorted(environment.keys() - known):
        like = name.upper()
        if like.startswith(("PAGER_", "PAGER-", "JWT_")):
            one = like.removesuffix("_FILE")
            near = [one] if one in known else get_close_matches(like, known, n=1, cutoff=0.75)
            if near or like.startswith("PAGER_"):
                yield f"{name} is no setting" + (f": did you mean {near[0]}?" if near else "")
