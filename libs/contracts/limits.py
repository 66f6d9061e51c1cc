"""What the gateway's replicas tell each other of rate limits."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from libs.contracts.model import Contract

MOST_TOLD: Final = 1000
"""Buckets in one message, some 50 KiB."""


class Spent(Contract):
    """How much was asked for of one bucket since it was last told."""

    limit: str = Field(max_length=20)
    key: str = Field(pattern=r"^[0-9a-f]{24}$")
    """A hash: neither who somebody is nor where."""
    width: Annotated[int, Field(ge=1, le=100)] = 1
    """As many times the size that its limit has."""
    count: Annotated[int, Field(ge=1, le=100_000)]


class SpentTold(Contract):
    """`pager.gateway.spent`, on core NATS: what is lost was not limited elsewhere, and nothing waits for it."""

    replica: UUID
    spent: Annotated[tuple[Spent, ...], Field(max_length=MOST_TOLD)]
