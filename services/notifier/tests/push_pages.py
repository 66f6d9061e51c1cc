"""What all push tests share: a page, a movable clock, keys and a bounded poll."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from libs.chassis.testing.deadline import in_time
from services.notifier.push.message import Page

NOW = datetime(2026, 10, 19, 9, 0, tzinfo=UTC)
TOKEN = "ab" * 32


class MovableClock:
    """A clock that stands still until the test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    async def wait_until(self, moment: datetime) -> None:
        self._now = max(self._now, moment)

    def move(self, **by: float) -> None:
        self._now += timedelta(**by)


def a_page(**changes: Any) -> Page:
    values: dict[str, Any] = {
        "notification_id": UUID("11111111-1111-5111-8111-111111111111"),
        "incident_id": UUID("22222222-2222-5222-8222-222222222222"),
        "kind": "page",
        "title": "db down",
        "body": "primary does not answer",
        "priority": "critical",
        "incident_url": "https://pager.example/incidents/2",
        "level": 1,
        "expires_at": NOW + timedelta(minutes=30),
    }
    return Page(**(values | changes))


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def until(condition: Callable[[], bool]) -> None:
    """Poll until `condition` holds; fail after a deadline."""
    async with in_time():
        while not condition():
            await asyncio.sleep(0.005)
