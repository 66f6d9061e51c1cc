"""What the environment says of feature flags: `FEATURE_<NAME>`, `FEATURE_<NAME>_PERCENTAGE` (README, Settings)."""

from __future__ import annotations

from typing import Any, Self

from pydantic import AliasChoices, Field, model_validator

from libs.chassis.settings import ServiceSettings
from libs.contracts.features import Feature
from services.gateway.flags import Flag


def _named(name: str, **bounds: Any) -> Any:
    return Field(default=None, validation_alias=AliasChoices(name.upper(), name), **bounds)


def _share(name: str) -> Any:
    return _named(name, ge=0, le=100)


class FeatureSettings(ServiceSettings):
    """Unset: auth says for whom a feature is on. Set: nobody changes it over the API."""

    feature_analytics: bool | None = _named("feature_analytics")
    feature_analytics_percentage: int | None = _share("feature_analytics_percentage")
    feature_bulk: bool | None = _named("feature_bulk")
    feature_bulk_percentage: int | None = _share("feature_bulk_percentage")
    feature_reviews: bool | None = _named("feature_reviews")
    feature_reviews_percentage: int | None = _share("feature_reviews_percentage")
    feature_stream: bool | None = _named("feature_stream")
    feature_stream_percentage: int | None = _share("feature_stream_percentage")

    @model_validator(mode="after")
    def _say_one_thing(self) -> Self:
        both = [feature for feature in Feature if None not in self._said(feature)]
        if both:
            names = (f"FEATURE_{feature.upper()}" for feature in both)
            raise ValueError("\n".join(f"{name} and {name}_PERCENTAGE are both set: keep one" for name in names))
        return self

    @property
    def features(self) -> dict[str, Flag]:
        """Those that the environment sets."""
        said = {str(feature): self._said(feature) for feature in Feature}
        return {
            name: Flag(enabled is not False, share)
            for name, (enabled, share) in said.items()
            if (enabled, share) != (None, None)
        }

    def _said(self, feature: Feature) -> tuple[bool | None, int | None]:
        return getattr(self, f"feature_{feature}"), getattr(self, f"feature_{feature}_percentage")
