"""Declares the streams of `libs.contracts.subjects.STREAMS`: made, brought up to date, or refused; never emptied."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from nats.errors import Error as NatsError
from nats.js.api import DiscardPolicy, PersistMode, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from cli.console.failure import Failure
from cli.reach.bus import connected
from libs.contracts.subjects import STREAMS, StreamSpec

_FIXED: Final = ("retention", "storage", "persist_mode", "mirror", "sources", "sealed", "no_ack")
"""What no update can change, or none may change unasked: the stream would hold something else than it promises."""

_LIMITS: Final = ("max_age", "max_bytes", "max_msgs", "max_msgs_per_subject", "max_consumers", "max_msg_size")
"""A smaller one would throw messages away (or refuse them), so only a larger one is set."""

_SWITCHES: Final = ("discard", "duplicate_window", "allow_direct")
"""What an update may change either way: no message is lost by it."""


_WHOLE: Final = "stream"


class Declared(StrEnum):
    """What became of one stream."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Drift:
    """One setting of a stream that is not as declared; `curable` when an update may set it right."""

    stream: str
    setting: str
    found: object
    expected: object
    curable: bool

    @property
    def is_missing(self) -> bool:
        """Not a setting of it: there is no such stream."""
        return self.setting == _WHOLE

    def __str__(self) -> str:
        if self.is_missing:
            return f"{self.stream} is missing"
        return f"{self.stream}: {self.setting} is {_shown(self.found)}, expected {_shown(self.expected)}"


def config_of(spec: StreamSpec, replicas: int = 1) -> StreamConfig:
    """How the server is told. `persist_mode: async` exists for one replica only."""
    lazy = not spec.synced and replicas == 1
    return StreamConfig(
        name=spec.name,
        subjects=list(spec.subjects),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=replicas,
        max_age=spec.max_age.total_seconds(),
        max_bytes=spec.max_bytes,
        max_msgs=-1,
        max_consumers=-1,
        discard=DiscardPolicy.NEW if spec.discard_new else DiscardPolicy.OLD,
        duplicate_window=spec.duplicate_window.total_seconds(),
        allow_direct=True,
        persist_mode=PersistMode.ASYNC if lazy else None,
    )


def drift_of(found: StreamConfig, expected: StreamConfig) -> list[Drift]:
    """Every setting of ours that differs; more replicas than expected are somebody's wish, fewer are drift."""
    name = expected.name or ""
    drifts = [*_subjects_drift(name, found.subjects or [], expected.subjects or [])]
    drifts += [
        Drift(name, setting, getattr(found, setting), getattr(expected, setting), curable=False)
        for setting in _FIXED
        if _plain(getattr(found, setting)) != _plain(getattr(expected, setting))
    ]
    for setting in _LIMITS:
        is_now, should_be = _limit(getattr(found, setting)), _limit(getattr(expected, setting))
        if is_now != should_be:
            drifts.append(
                Drift(name, setting, getattr(found, setting), getattr(expected, setting), curable=should_be > is_now)
            )
    drifts += [
        Drift(name, setting, getattr(found, setting), getattr(expected, setting), curable=True)
        for setting in _SWITCHES
        if getattr(found, setting) != getattr(expected, setting)
    ]
    if (found.num_replicas or 1) < (expected.num_replicas or 1):
        drifts.append(Drift(name, "num_replicas", found.num_replicas, expected.num_replicas, curable=True))
    return drifts


async def declare(
    js: JetStreamContext, specs: tuple[StreamSpec, ...] = STREAMS, replicas: int = 1
) -> dict[str, Declared]:
    """Make what is missing and bring the rest up to date; safe to repeat.

    Raises:
        Failure: a stream differs in a way that only its deletion or the loss of messages could cure.
    """
    return {spec.name: await _declare_one(js, config_of(spec, replicas)) for spec in specs}


async def declare_at(url: str, replicas: int = 1) -> dict[str, str]:
    """Declare over a connection of its own, as an operator. Raises `Failure`, also when NATS is away."""
    async with connected(url) as client:
        try:
            declared = await declare(client.jetstream(), replicas=replicas)
            return {name: str(what) for name, what in declared.items()}
        except (NatsError, TimeoutError) as error:
            raise Failure(f"NATS does not declare streams: {str(error) or type(error).__name__}") from None


async def drifts(js: JetStreamContext, specs: tuple[StreamSpec, ...] = STREAMS) -> list[Drift]:
    """Every difference between the streams and their declaration (`pager doctor`)."""
    found: list[Drift] = []
    for spec in specs:
        try:
            config = (await js.stream_info(spec.name)).config
        except NotFoundError:
            found.append(Drift(spec.name, _WHOLE, "missing", "declared", curable=True))
        else:
            found += drift_of(config, config_of(spec, config.num_replicas or 1))
    return found


async def _declare_one(js: JetStreamContext, expected: StreamConfig) -> Declared:
    name = expected.name or ""
    try:
        found = (await js.stream_info(name)).config
    except NotFoundError:
        try:
            await js.add_stream(expected)
        except APIError as error:
            raise Failure(f"stream {name} cannot be made: {error.description}") from error
        return Declared.CREATED
    differences = drift_of(found, expected)
    if not differences:
        return Declared.UNCHANGED
    refused = [drift for drift in differences if not drift.curable]
    if refused:
        raise Failure(
            f"stream {refused[0]}; an update could lose messages: change it by hand, or back it up and delete it"
        )
    for drift in differences:
        setattr(found, drift.setting, drift.expected)
    try:
        await js.update_stream(found)
    except APIError as error:
        raise Failure(f"stream {name} cannot be updated: {error.description}") from error
    return Declared.UPDATED


def _subjects_drift(name: str, found: list[str], expected: list[str]) -> Iterator[Drift]:
    """More subjects may be added; one that is taken away would leave senders without an answer."""
    if set(found) != set(expected):
        yield Drift(name, "subjects", found, expected, curable=set(found) < set(expected))


def _plain(value: object) -> object:
    """Values that mean the same as one: the server leaves defaults out, or spells them."""
    if value in (None, False, [], PersistMode.DEFAULT, "default"):
        return None
    return value


def _limit(value: float | None) -> float:
    """A limit as a number that compares: 0, -1 and nothing mean no limit."""
    return float("inf") if value is None or value <= 0 else float(value)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(getattr(value, "value", value))
