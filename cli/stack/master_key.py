"""The master key of a home is replaced: by two writes of its file, between which auth seals everything anew."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from cli.console.failure import USAGE, Failure
from cli.reach.bus import ask, connected
from cli.reach.running import operator_url, run_of
from cli.settings import Settings, value_of
from cli.stack import secrets_file
from services.auth.sealing import name_of

_PATIENCE: Final = 180.0
"""Seconds until each replica of auth has been started anew, and the active one has sealed everything."""
_LOOK: Final = 0.5


@dataclass(frozen=True)
class Replaced:
    """`made`: a new one, just now; `finished`: the one before is in the file no longer."""

    made: bool
    finished: bool


async def replace_master_key(settings: Settings) -> Replaced:
    """Whatever dies in between, the file holds every key that anything may be sealed by.

    Raises:
        Failure: the key does not come from the home; or auth does not say that it has sealed everything anew.
    """
    for name in ("PAGER_MASTER_KEY", "PAGER_MASTER_KEY_PREVIOUS"):
        if value_of(settings.environment, name) is not None:
            raise Failure(f"{name} is set, so that it is replaced where it is kept: docs/runbooks/keys.md", USAGE)
    made = secrets_file.replace_master_key(settings.home)
    if settings.nats_url is None and not _runs(settings):
        if made:
            return Replaced(made=True, finished=False)
        raise Failure("the one before may still be needed: start Pager, which seals everything by the new one")
    present, _ = secrets_file.master_keys(settings.home, settings.environment)
    await _until_sealed(settings, name_of(present or ""))
    secrets_file.forget_previous_master_key(settings.home)
    return Replaced(made=made, finished=True)


def _runs(settings: Settings) -> bool:
    try:
        run_of(settings)
    except Failure:
        return False
    return True


async def _until_sealed(settings: Settings, name: str) -> None:
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        said = await _said(settings)
        if isinstance(said, dict) and said["name"] == name and not said["sealedByOthers"]:
            return
        if asyncio.get_running_loop().time() > deadline:
            why = said if isinstance(said, str) else f"{said['sealedByOthers']} secrets are left"
            raise Failure(f"not everything is sealed by the new master key, call this again later: {why}")
        await asyncio.sleep(_LOOK)


async def _said(settings: Settings) -> dict[str, Any] | str:
    """What auth says of its master key, or why it says nothing."""
    try:
        async with connected(operator_url(settings)) as client:
            return dict((await ask(client, "auth", "signing_keys", {}))["masterKey"])
    except Failure as failure:
        return str(failure)
