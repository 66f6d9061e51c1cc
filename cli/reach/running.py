"""Finds the stack that runs: its addresses, and the credentials that the home keeps for operators."""

import os
from typing import Any

from cli.console.failure import Failure
from cli.reach.urls import with_user
from cli.settings import Settings


def run_of(settings: Settings) -> dict[str, Any]:
    """`run.json` of a stack that runs. Raises `Failure` where none does."""
    try:
        run: dict[str, Any] | None = settings.home.read_run()
    except (OSError, ValueError) as error:
        raise Failure(f"PAGER_HOME: cannot read {settings.home.run_file}: {error}") from None
    if run is None or not _alive(run.get("processes", {}).get("pager", {}).get("pid")):
        raise Failure(f"nothing runs in {settings.home.path}: start it with `pager up`, or name another PAGER_HOME")
    return run


def operator_url(settings: Settings) -> str:
    """NATS as an operator. Raises `Failure` where nothing runs."""
    if settings.nats_url is not None:
        return settings.nats_url
    url = str(run_of(settings)["nats"])
    return with_user(url, "operator", settings.home.credentials().nats["operator"])


def auditor_url(settings: Settings) -> str:
    """NATS as an auditor, who may read events and nothing else. Raises `Failure` where nothing runs."""
    if settings.nats_url is not None:
        return settings.nats_url
    url = str(run_of(settings)["nats"])
    return with_user(url, "auditor", settings.home.credentials().nats["auditor"])


def sender_url(settings: Settings) -> str:
    """NATS as senders know it: without credentials, unless `PAGER_NATS_URL` has some. Raises `Failure`."""
    return settings.nats_url if settings.nats_url is not None else str(run_of(settings)["nats"])


def _alive(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, and alive
    return True
