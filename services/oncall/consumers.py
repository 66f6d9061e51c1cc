"""What oncall takes from AUTH."""

from __future__ import annotations

from collections.abc import Sequence

from libs.chassis.consume.follower import Consumer
from libs.contracts.auth import DeviceRegistered, DeviceRemoved, UserRegistered
from services.oncall.application import learn_people


def consumers() -> Sequence[Consumer]:
    """AUTH comes first: a schedule must never refuse a person whom auth knows."""
    return (Consumer("auth", (UserRegistered, DeviceRegistered, DeviceRemoved), learn_people, first=True),)
