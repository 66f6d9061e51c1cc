"""What oncall takes from AUTH and ESCALATION."""

from __future__ import annotations

from collections.abc import Sequence

from libs.chassis.consume.follower import Consumer
from services.oncall.application import learn_people
from services.oncall.projections import FROM_DEVICES, FROM_PEOPLE, FROM_TEAMS
from services.oncall.targets import FROM_ESCALATION, follow_policies


def consumers() -> Sequence[Consumer]:
    """AUTH comes first: a schedule must never refuse a person whom auth knows.

    Of ESCALATION only policies matter here, and not each page may wake this process for them.
    """
    return (
        Consumer("auth", (*FROM_PEOPLE, *FROM_DEVICES, *FROM_TEAMS), learn_people, first=True),
        Consumer("escalation", FROM_ESCALATION, follow_policies, sparse=True),
    )
