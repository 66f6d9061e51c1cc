"""The one truth about an installation: everybody is asked, and what they say is judged in one place (docs/adr/0047).

The gateway's health and ready, `pager doctor` and `pager up` all tell what `judge` has found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from pydantic import ValidationError

from libs.contracts.health import BUS, DATABASE, Effect, Health, Trouble
from libs.contracts.requests import ErrorKind, Reply
from libs.contracts.subjects import SERVICES, rpc_subject

PAGING: Final = ("incidents", "escalation", "notifier")
"""Without one of these nobody is paged; people and shifts live on as replicas when auth or oncall is away."""
LAG: Final = 1000
"""Messages behind: from then on pages are late."""
PATIENCE: Final = 2.0
"""Seconds that a service has to answer: it waits for nobody else to do so."""
_BUS_PATIENCE: Final = 1.0
_NOBODY: Final = rpc_subject("nobody", "ping")
"""Who asks there is answered by the server itself: that nobody listens."""

Status = Literal["ok", "degraded", "unavailable"]


class Silent(StrEnum):
    """Why there is no word of a service."""

    AWAY = "away"
    """Nobody listens: no process of it runs."""
    HANGING = "hanging"
    """It listens and does not answer."""
    UNKNOWN = "unknown"
    """The bus carries no question."""


Word = Health | Silent


@dataclass(frozen=True)
class Found:
    """What one look at everybody has found. `bus`: whether NATS answers."""

    bus: bool
    words: Mapping[str, Word]


@dataclass(frozen=True)
class Verdict:
    """`troubles`: the worst first."""

    found: Found
    troubles: Sequence[Trouble]

    @property
    def status(self) -> Status:
        """`unavailable` while nobody can be paged."""
        if any(trouble.effect is Effect.SILENCE for trouble in self.troubles):
            return "unavailable"
        return "degraded" if self.troubles else "ok"

    @property
    def is_ready(self) -> bool:
        """Whether bus, database and every service do their work: then no caller is refused for want of them."""
        parts = (BUS, DATABASE, *SERVICES)
        return not any(t.culprit in parts and t.effect in (Effect.OUTAGE, Effect.SILENCE) for t in self.troubles)

    def of(self, culprit: str) -> list[Trouble]:
        return [trouble for trouble in self.troubles if trouble.culprit == culprit]


async def look(client: Client, patience: float = PATIENCE) -> Found:
    """Ask everybody at once; returns after `patience` seconds, or one more when it was in vain. Raises nothing."""
    if not client.is_connected:
        return Found(bus=False, words=dict.fromkeys(SERVICES, Silent.UNKNOWN))
    words = dict(zip(SERVICES, await asyncio.gather(*(_ask(client, one, patience) for one in SERVICES)), strict=True))
    # An answer proves the bus. Without one it is asked last: it may have gone meanwhile.
    bus = any(word is not Silent.HANGING for word in words.values()) or await _answers(client)
    return Found(bus, words if bus else dict.fromkeys(SERVICES, Silent.UNKNOWN))


def judge(found: Found) -> Verdict:
    """Who is to blame, each by name; whoever cannot do without a culprit is not blamed beside it."""
    troubles = sorted(set(_troubles(found)), key=lambda trouble: (-trouble.effect.weight, trouble.culprit))
    return Verdict(found, troubles)


def _troubles(found: Found) -> Iterator[Trouble]:
    if not found.bus:
        yield Trouble(culprit=BUS, problem="does not answer", effect=Effect.SILENCE)
        return
    without = [name for name, word in found.words.items() if isinstance(word, Health) and not word.database]
    if without:
        problem = f"does not answer {', '.join(without)}"
        yield Trouble(culprit=DATABASE, problem=problem, effect=_worst(effect_of(name) for name in without))
    for name, word in found.words.items():
        match word:
            case Silent.HANGING:
                problem = "does not answer: it hangs, or has too much to do"
                yield Trouble(culprit=name, problem=problem, effect=effect_of(name))
            case Health():
                yield from _told(name, word)
            case _:
                yield Trouble(culprit=name, problem="is away: no process of it answers", effect=effect_of(name))


def _told(name: str, health: Health) -> Iterator[Trouble]:
    """What a service knows of itself and others."""
    if health.unstored:
        yield Trouble(culprit=BUS, problem=f"does not store what {name} needs stored", effect=effect_of(name))
    # Without its database it cannot go on: that is no trouble of its own.
    if health.stopped and health.database:
        yield Trouble(culprit=name, problem="has stopped working on what it reads", effect=effect_of(name))
    if (behind := max(health.lag.values(), default=0)) >= LAG:
        yield Trouble(culprit=name, problem=f"is {behind} messages behind", effect=Effect.FAULT)
    if failed := sum(count for kind, count in health.parked.items() if kind != "input"):
        # Unreadable alerts are a sender's fault; a failure of ours keeps an incident from being paged.
        problem = f"could not handle {failed} messages: see pager parked list"
        yield Trouble(culprit=name, problem=problem, effect=Effect.FAULT)
    yield from health.troubles


def effect_of(service: str) -> Effect:
    """What it means when a service does not do its work."""
    return Effect.SILENCE if service in PAGING else Effect.OUTAGE


def _worst(effects: Iterable[Effect]) -> Effect:
    return max(effects, key=lambda effect: effect.weight)


async def _ask(client: Client, service: str, patience: float) -> Word:
    try:
        answer = await client.request(rpc_subject(service, "health"), b"{}", timeout=patience)
        reply = Reply.model_validate_json(answer.data)
        if reply.ok:
            return Health.model_validate(reply.data)
    except NoRespondersError:
        return Silent.AWAY
    except (NatsError, TimeoutError, ValidationError):
        return Silent.HANGING
    if reply.error is not None and reply.error.kind is ErrorKind.UNAVAILABLE:
        # An older one, during a rollout: it cannot say anything without its database.
        return Health(service=service, instance=service, active=False, ready=False, database=False)
    return Silent.HANGING


async def _answers(client: Client) -> bool:
    try:
        await client.request(_NOBODY, b"", timeout=_BUS_PATIENCE)
    except NoRespondersError:
        return True
    except (NatsError, TimeoutError):
        return False
    return True
