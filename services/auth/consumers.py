"""What auth takes from others: nothing (design, section 2)."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer


def consumers() -> list[Consumer]:
    return []
