"""Feature flags: what is switched on, and for whom. What auth publishes, takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final
from uuid import UUID, uuid5

from pydantic import Field

from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Contract, Moment, StrictContract

MOST_PEOPLE: Final = 500
"""Whom a flag names one by one; for more there is a percentage."""


class Feature(StrEnum):
    """The flags that exist. One that switches nothing does not."""

    ANALYTICS = "analytics"
    BULK = "bulk"
    REVIEWS = "reviews"
    STREAM = "stream"


SWITCHES: Final[Mapping[Feature, str]] = {
    Feature.ANALYTICS: "numbers of a period (`/analytics`)",
    Feature.BULK: "changes of many incidents at once (`POST /incidents/bulk`)",
    Feature.REVIEWS: "post-incident reviews (`/incidents/{id}/review`)",
    Feature.STREAM: "live events (`/stream`)",
}
"""What each of them switches. All are on for everybody until somebody says otherwise."""

Percentage = Annotated[int, Field(ge=0, le=100)]


def feature_entity(flag: str) -> UUID:
    """Whose log its changes are."""
    return uuid5(PAGER, f"features/{flag}")


def share_of(flag: str, who: str) -> int:
    """0 to 99: where somebody stands in the roll-out of a flag, whoever asks and whenever.

    Those below the percentage have it, so whoever has it keeps it while it grows; and each flag begins with others.
    """
    return int.from_bytes(sha256(f"{flag}:{who}".encode()).digest()[:8]) % 100


class FeatureChanged(Fact, type="pager.auth.FeatureChanged.v1"):
    """For whom a flag is on from now on: for nobody, for those that it names and for that share of everybody, or, where
    it says neither, for all."""

    feature_id: UUID
    flag: str
    """Its name; of one that has gone since, too."""
    enabled: bool
    percentage: int | None = None
    user_ids: tuple[UUID, ...] = ()


class FeatureRule(StrictContract):
    """`PUT /admin/features/{flag}` (admin): all of it is replaced."""

    enabled: bool
    percentage: Percentage | None = None
    """Of everybody; beside `userIds`."""
    user_ids: tuple[UUID, ...] = Field(default=(), max_length=MOST_PEOPLE)
    """For whom it is on in any case. Neither: it is on for all."""


class SetFeature(FeatureRule):
    """The same with the flag of its path."""

    flag: str


class Share(StrictContract):
    """`POST /admin/features/{flag}/rollout` (admin)."""

    percentage: Percentage


class RollOut(Share):
    """The same with the flag of its path."""

    flag: str


class FeatureView(Contract):
    """A flag. `byEnvironment`: `FEATURE_<NAME>` or `FEATURE_<NAME>_PERCENTAGE` says so, and nobody can change it
    here."""

    flag: Feature
    switches: str
    enabled: bool = True
    percentage: int | None = None
    user_ids: tuple[UUID, ...] = ()
    changed_by: Actor | None = None
    changed_at: Moment | None = None
    by_environment: bool = False


class FeatureRow(Contract):
    """What gateways are told of a flag, whose name they may not know."""

    flag: str
    enabled: bool
    percentage: int | None = None
    user_ids: tuple[UUID, ...] = ()


class FeaturesView(Contract):
    """All that there are."""

    features: tuple[FeatureView, ...]
