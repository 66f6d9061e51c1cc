"""What services say of themselves, and what is made of it: who is in trouble, and what that means for pages."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from libs.contracts.model import Contract

BUS = "bus"
DATABASE = "database"
STORAGE = "storage"
PUSH = "push"
TEAM_POLICY = "team policy"
"""A policy that is a team's affair."""


class Effect(StrEnum):
    """What a trouble means, from the least: it is told with its culprit, whatever it is."""

    WARNING = "warning"
    """Nothing is broken, and yet a page would not do what is expected of it."""
    FAULT = "fault"
    """Somebody must look: part of what pages need is broken, or about to be."""
    OUTAGE = "outage"
    """Some of what callers ask for is refused; pages go on."""
    SILENCE = "silence"
    """Nobody can be paged."""

    @property
    def weight(self) -> int:
        return list(Effect).index(self)


class Trouble(Contract):
    """`culprit`: `bus`, `database`, `storage`, a service, `push <vendor>`, `policy <name>` or `team policy <name>`.
    `problem`: a few words of ours that go behind it; never what somebody else's error said, for everybody may read it.
    """

    culprit: str
    problem: str
    effect: Effect


class Health(Contract):
    """`database`: whether PostgreSQL answers this service. `lag`: messages behind, by upstream and lane; `stopped`: why
    consumption or publishing stopped, if it did; `unstored`: what the bus does not store. Either means not ready.
    `troubles`: what it knows of others: vendors, disks, policies."""

    service: str
    instance: str
    active: bool
    ready: bool
    database: bool = True
    lag: dict[str, int] = {}
    stopped: tuple[str, ...] = ()
    unstored: tuple[str, ...] = ()
    parked: dict[str, int] = {}
    troubles: tuple[Trouble, ...] = ()
    extra: dict[str, Any] = {}


def in_public(troubles: Iterable[Trouble]) -> tuple[Trouble, ...]:
    """What is told to whoever asks without a token: of what is a team's not the name, which its people see alone."""
    told = (
        trouble.model_copy(update={"culprit": TEAM_POLICY}) if trouble.culprit.startswith(TEAM_POLICY) else trouble
        for trouble in troubles
    )
    return tuple(dict.fromkeys(told))
