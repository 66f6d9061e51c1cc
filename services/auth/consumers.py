"""What auth takes from others: nothing."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer


def consumers() -> list[Consumer]:
    return []
