"""Where an incident's paging has got to: its run, the round within the run, and the level within the round."""

from __future__ import annotations

from typing import NamedTuple

from libs.contracts.escalation import EscalationDue, EscalationExhausted
from libs.contracts.notifier import NotificationIntended


class Place(NamedTuple):
    """Escalation counts it upwards only, so a lower one that is heard after a higher one is out of date."""

    run: int
    round: int
    level: int


LOWEST = Place(1, 1, 1)
"""Of the first page of every incident."""


def place_of(fact: EscalationDue | EscalationExhausted | NotificationIntended) -> Place:
    return Place(fact.run, fact.round, fact.level)
