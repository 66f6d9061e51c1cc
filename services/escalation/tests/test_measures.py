"""What a level that was paged is counted as."""

from __future__ import annotations

import pytest

from libs.contracts.escalation import EscalationDue
from services.escalation.measures import reason_of
from services.escalation.tests.world import BRIEF, INCIDENT


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ({"level": 1, "round": 1}, "created"),
        ({"level": 1, "round": 2}, "repeat"),
        ({"level": 1, "round": 1, "run": 2}, "repeat"),
        ({"level": 2, "round": 1}, "timeout"),
        ({"level": 2, "round": 1, "reason": "nobody of level 1 could be reached"}, "fallback"),
    ],
)
def test_a_page_is_counted_under_one_word(page: dict[str, object], word: str) -> None:
    values = {"incident_id": INCIDENT, "people": (), "next_due_at": None, "brief": BRIEF}
    assert reason_of(EscalationDue.model_validate(values | page)) == word
