"""Feature flags at the door: what is switched off for somebody is refused (docs/adr/0073)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext

from libs.contracts.doors import DoorsView
from libs.contracts.features import Feature
from services.gateway.envelope import Problem
from services.gateway.flags import Flag, Flags

OF_OPERATION: Final[Mapping[str, Feature]] = {
    "getAnalyticsSummary": Feature.ANALYTICS,
    "getAnalyticsResponse": Feature.ANALYTICS,
    "getAnalyticsLoad": Feature.ANALYTICS,
    "getAnalyticsNoise": Feature.ANALYTICS,
    "bulkIncidents": Feature.BULK,
    "draftReview": Feature.REVIEWS,
    "getReview": Feature.REVIEWS,
    "changeReview": Feature.REVIEWS,
    "deleteReview": Feature.REVIEWS,
}
"""The operations that a flag switches, beside the stream. None of them pages anybody."""
_DEFAULT: Final = True
"""Where neither auth nor the environment has said anything."""


@dataclass
class Features:
    """`check(feature, who)` before what it switches. Before auth has said anything the defaults hold."""

    environment: Mapping[str, Flag] = field(default_factory=dict)
    _flags: Flags = field(init=False)
    _client: OpenFeatureClient = field(init=False)

    def __post_init__(self) -> None:
        self._flags = Flags(self.environment)
        # Of its own domain: a process may have several gateways.
        domain = f"pager-gateway-{uuid4()}"
        api.set_provider_and_wait(self._flags, domain)
        self._client = api.get_client(domain)

    def hear(self, said: DoorsView) -> None:
        self._flags.said = {
            row.flag: Flag(row.enabled, row.percentage, frozenset(map(str, row.user_ids))) for row in said.features
        }

    def is_on(self, feature: Feature, who: UUID | None) -> bool:
        """Whether a person or an API key has it."""
        context = EvaluationContext(None if who is None else str(who))
        return self._client.get_boolean_value(feature, _DEFAULT, context)

    def check(self, feature: Feature, who: UUID | None) -> None:
        """Raises Problem (403)."""
        if not self.is_on(feature, who):
            raise Problem("FORBIDDEN", switched_off(feature))

    def shown(self, view: Mapping[str, Any]) -> dict[str, Any]:
        """A flag as auth has it, under what the environment says."""
        flag = self.environment.get(view["flag"])
        if flag is None:
            return dict(view)
        # Whoever changed it last did not say this.
        kept = {"flag": view["flag"], "switches": view["switches"]}
        return kept | {"enabled": flag.enabled, "percentage": flag.percentage, "userIds": [], "byEnvironment": True}


def switched_off(feature: Feature) -> str:
    return f"the feature {feature} is switched off for you"
