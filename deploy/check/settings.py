"""Loads a service's own Settings from the variables of its container: what it would say at its start."""

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest.mock import patch

from libs.chassis.settings import ServiceSettings, SettingsError
from libs.contracts.subjects import SERVICES

_MADE: Final = frozenset({"PAGER_ERASURE_LEDGER_FILE"})
"""Files that a service makes itself, in a volume."""
PROCESSES: Final = (*SERVICES, "gateway")


def load(service: str, variables: Mapping[str, str], files: Mapping[str, Path]) -> ServiceSettings:
    """The settings of a service; `files` says where a path of its container is here.

    Raises:
        SettingsError: one line that names the variable, or the path that the container has not.
    """
    settings: type[ServiceSettings] = importlib.import_module(f"services.{service}.settings").Settings
    here = {name: _path(name, value, files) for name, value in variables.items()}
    with _nothing_else(here):
        return settings.load()


def _path(name: str, value: str, files: Mapping[str, Path]) -> str:
    if not name.startswith("PAGER_") or not name.endswith("_FILE") or name in _MADE:
        return value
    if not value:  # not set, in the words of compose
        return value
    if value not in files:
        raise SettingsError(f"{name}: {value} is not mounted")
    return str(files[value])


@contextmanager
def _nothing_else(variables: Mapping[str, str]) -> Iterator[None]:
    kept = {name: value for name, value in os.environ.items() if not _ours(name)}
    with patch.dict(os.environ, kept | dict(variables), clear=True):
        yield


def _ours(name: str) -> bool:
    return name.startswith(("PAGER_", "JWT_", "ENABLE_", "FEATURE_", "OTEL_", "PG"))
