"""The compose file: what its schema cannot know."""

import re
import shutil
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

from cli.commands.deploy_config import write_folder
from cli.deployment import compose
from cli.deployment.installation import Installation
from cli.simulators.credentials import apns_identity, service_account
from deploy.check import settings
from deploy.check.chart import ROOT
from deploy.check.findings import Finding
from deploy.check.kubernetes import is_secret
from libs.chassis.settings import SettingsError

FILE: Final = ROOT / "deploy" / "compose" / "compose.yaml"
OURS: Final = "${PAGER_IMAGE:-pager:local}"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::?(?P<sign>[-+])(?P<other>[^}]*))?\}")
_EXACT = re.compile(r":\d+\.\d+(\.\d+)?-?[a-z0-9.-]*$")


@cache
def services() -> dict[str, dict[str, Any]]:
    """The services, anchors resolved."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["services"]
    return found


def process_of(name: str) -> str | None:
    """Which service of ours a container runs: `notifier` for both notifiers, None for servers and jobs."""
    process = name.removesuffix("-simulated")
    return process if process in settings.PROCESSES else None


def interpolated(text: str, variables: dict[str, str]) -> str:
    """`${NAME:-default}` and `${NAME:+where it is set}` as compose reads them."""

    def value(match: re.Match[str]) -> str:
        given = variables.get(match["name"]) or ""
        if match["sign"] == "+":
            return match["other"] if given else ""
        return given or match["other"] or ""

    return _VARIABLE.sub(value, text)


def environment_of(name: str, variables: dict[str, str]) -> dict[str, str]:
    return {key: interpolated(str(value), variables) for key, value in services()[name].get("environment", {}).items()}


def mounted(name: str, folder: Path) -> dict[str, Path]:
    """Path in the container → file in `folder`, for each secret that the service is given."""
    return {f"/run/secrets/{secret}": folder / secret for secret in services()[name].get("secrets", ())}


def structure() -> Iterable[Finding]:
    """One image for all of ours, exact ones for the others, and every container closed as far as it can be."""
    yield Finding("compose", "images, healthchecks, privileges, secrets", tuple(_faults()))


def _faults() -> Iterator[str]:
    document = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    for name, service in services().items():
        if service["image"] != OURS and not _EXACT.search(service["image"]):
            yield f"{name}: {service['image']} is no exact version"
        if "ALL" not in service.get("cap_drop", ()) or "no-new-privileges:true" not in service["security_opt"]:
            yield f"{name}: keeps privileges"
        if service["image"] == OURS and not (service["read_only"] and service["init"]):
            yield f"{name}: has a writable root file system, or no init"
        runs_on = service.get("restart") == "unless-stopped"
        if runs_on and ("test" not in service.get("healthcheck", {})):
            yield f"{name}: has no healthcheck"
        for variable in service.get("environment", {}):
            if is_secret(variable):
                yield f"{name}: {variable} is given as a value"
        for secret in service.get("secrets", ()):
            if secret not in document["secrets"]:
                yield f"{name}: the secret {secret} is not declared"
        for port in service.get("ports", ()):
            if not str(port).startswith(("127.0.0.1:", "${PAGER_BIND:-127.0.0.1}:")):
                yield f"{name}: {port} is open to everybody"
    used = {secret for service in services().values() for secret in service.get("secrets", ())}
    yield from (f"the secret {name} is used by nobody" for name in document["secrets"] if name not in used)
    missing = [process for process in settings.PROCESSES if process not in services()]
    yield from (f"{process} is missing" for process in missing)


def variables() -> Iterable[Finding]:
    """Every service takes the variables and files that it is given."""
    with TemporaryDirectory() as folder:
        here = Path(folder)
        installation = Installation.at(here / "state", compose.ADDRESSES, {})
        write_folder(here, compose.files(installation))
        identity, key = apns_identity(here)
        _, account = service_account(here, "https://oauth2.example/token")
        for vendor_file, made in {"fcm-service-account": account, "apns-key": key}.items():
            shutil.copyfile(made, here / vendor_file)
        given = {
            "PAGER_APNS_KEY_ID": identity.key_id,
            "PAGER_APNS_TEAM_ID": identity.team_id,
            "PAGER_APNS_TOPIC": identity.topic,
        }
        wrong = []
        for name in services():
            process = process_of(name)
            if process is None:
                continue
            try:
                settings.load(process, environment_of(name, given), mounted(name, here))
            except SettingsError as error:
                wrong.append(f"{name}: {error}")
    yield Finding("compose", "variables against each service's Settings", tuple(wrong))
