"""What the simulators were told to answer, and to whom."""

import math
import random
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from cli.simulators.answers import ANSWERS, PROVIDERS, ProviderName

MAX_RULES = 10_000
MAX_DELAY_MS = 3_600_000
_FIELDS = ("provider", "deviceToken", "answer", "times", "delayMs", "fraction", "timestamp", "retryAfter")


class BadField(Exception):
    """A field of a request to the control door is missing or wrong; the text names it."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


@dataclass(slots=True)
class Rule:
    """One instruction; None in `device_token` means every device, in `times` means until removed.

    `delay` is in seconds. `timestamp` (ms since 1970) goes into a 410 of APNs, `retry_after` (s) into a
    429 or 503 of FCM, and into any refusal of Web Push.
    """

    provider: ProviderName
    answer: str
    device_token: str | None = None
    times: int | None = None
    delay: float = 0.0
    fraction: float = 1.0
    timestamp: int | None = None
    retry_after: int | None = None

    def to_document(self) -> dict[str, Any]:
        """The rule as the control door shows it."""
        return {
            "provider": self.provider,
            "deviceToken": self.device_token,
            "answer": self.answer,
            "times": self.times,
            "delayMs": round(self.delay * 1000, 3),
            "fraction": self.fraction,
            "timestamp": self.timestamp,
            "retryAfter": self.retry_after,
        }


class BehaviourBook:
    """The rules in force: one for the very device goes before a general one, a newer before an older one."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._rules: defaultdict[tuple[str, str | None], list[Rule]] = defaultdict(list)

    def __len__(self) -> int:
        return sum(len(rules) for rules in self._rules.values())

    def add(self, rule: Rule) -> None:
        """Put a rule in force; raises BadField when there are too many."""
        if len(self) >= MAX_RULES:
            raise BadField("provider", f"more than {MAX_RULES} rules; DELETE /behaviour first")
        self._rules[rule.provider, rule.device_token].append(rule)

    def clear(self) -> int:
        """Remove all rules; returns how many there were."""
        count = len(self)
        self._rules.clear()
        return count

    def rules(self) -> list[Rule]:
        """All rules in force, in no particular order."""
        return [rule for rules in self._rules.values() for rule in rules]

    def choose(self, provider: ProviderName, device_token: str) -> Rule | None:
        """The rule for this push, one of its `times` used up; None means the normal answer."""
        if not self._rules:
            return None
        for key in ((provider, device_token), (provider, None)):
            for rule in reversed(self._rules.get(key, ())):
                if rule.fraction < 1.0 and self._chance.random() >= rule.fraction:
                    continue
                if rule.times is not None:
                    rule.times -= 1
                    if rule.times == 0:
                        self._remove(key, rule)
                return rule
        return None

    def _remove(self, key: tuple[str, str | None], rule: Rule) -> None:
        self._rules[key].remove(rule)
        if not self._rules[key]:
            del self._rules[key]


def parse_rule(document: object) -> Rule:
    """A Rule from the JSON body of `POST /behaviour`; raises BadField."""
    if not isinstance(document, dict):
        raise BadField("body", "must be a JSON object")
    for name in document:
        if name not in _FIELDS:
            raise BadField(str(name), f"unknown; there are {', '.join(_FIELDS)}")
    provider = document.get("provider")
    if provider not in PROVIDERS:
        raise BadField("provider", f"must be one of {', '.join(PROVIDERS)}")
    answer = document.get("answer")
    if not isinstance(answer, str) or answer not in ANSWERS[provider]:
        raise BadField("answer", f"must be one of {', '.join(sorted(ANSWERS[provider]))}")
    device_token = document.get("deviceToken")
    if device_token is not None and (not isinstance(device_token, str) or not device_token):
        raise BadField("deviceToken", "must be a non-empty string")
    return Rule(
        provider=provider,
        answer=answer,
        # APNs tokens are hex: /3/device/ABC and /3/device/abc are one device.
        device_token=device_token.lower() if device_token and provider == "apns" else device_token,
        times=_whole(document, "times", 1),
        delay=(_number(document, "delayMs", 0, MAX_DELAY_MS) or 0.0) / 1000,
        fraction=_fraction(document),
        timestamp=_whole(document, "timestamp", 0),
        retry_after=_whole(document, "retryAfter", 0),
    )


def _number(document: dict[str, Any], name: str, low: float, high: float) -> float | None:
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise BadField(name, f"must be a number from {low} to {'any' if math.isinf(high) else high}")
    return float(value)


def _whole(document: dict[str, Any], name: str, low: int) -> int | None:
    value = document.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise BadField(name, f"must be a whole number of at least {low}")
    return value


def _fraction(document: dict[str, Any]) -> float:
    value = _number(document, "fraction", 0, 1)
    if value == 0:
        raise BadField("fraction", "must be above 0")
    return 1.0 if value is None else value
