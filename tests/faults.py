"""Faults of ours, for tests: handlers that fail on some inputs until they are repaired."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from libs.chassis.consume.follower import Consumer, Follower
from tests.rest import intakes
from tests.world import World


def break_handler(world: World, service: str, upstream: str, is_bad: Callable[[Any], bool]) -> Callable[[], None]:
    """The service's handler of that upstream fails on such events; returns what repairs it."""
    readers = world.services[service].readers
    followers = [reader for reader in readers if isinstance(reader, Follower) and reader.upstream == upstream]
    whole = followers[0].consumer

    def handle(work: Any, events: Sequence[Any]) -> None:
        if any(is_bad(event) for event in events):
            raise ZeroDivisionError("a fault of ours")
        whole.handle(work, events)

    def become(consumer: Consumer) -> None:
        for follower in followers:
            follower.consumer = consumer

    become(replace(whole, handle=handle))
    return lambda: become(whole)


def break_intake(world: World, is_bad: Callable[[bytes], bool]) -> Callable[[], None]:
    """The intake of alerts, of both lanes, fails on such bodies; returns what repairs it."""
    readers = intakes(world.services["incidents"])
    whole = readers[0]._applier.take

    def take(work: Any, items: Sequence[Any]) -> None:
        if any(is_bad(item.raw) for item in items):
            raise ZeroDivisionError("a fault of ours")
        whole(work, items)

    def become(handler: Any) -> None:
        for reader in readers:
            reader._applier.take = handler

    become(take)
    return lambda: become(whole)
