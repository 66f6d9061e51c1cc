"""What the notifier takes from its upstreams."""

from __future__ import annotations

from functools import partial

from libs.chassis.consume.follower import Consumer
from libs.contracts.erasure import PersonErased
from services.notifier.application import follow_people, page_people, stop_incidents
from services.notifier.domain.bundling import MOST
from services.notifier.replicas import ACTIVE_FACTS, ANSWERS, DEVICE_FACTS, DUES


def consumers(pages_per_minute: int = MOST) -> list[Consumer]:
    """People are read to their end first: a cold start must not call somebody unreachable, or page whoever has left."""
    return [
        Consumer("auth", (*DEVICE_FACTS, *ACTIVE_FACTS, PersonErased), follow_people, first=True),
        Consumer("incidents", ANSWERS, stop_incidents),
        Consumer("escalation", DUES, partial(page_people, most=pages_per_minute)),
    ]
