"""How long the supervisor waits before it starts a child again."""

import pytest

from cli.stack.backoff import Backoff


def test_the_first_restart_is_at_once_and_later_ones_wait_up_to_five_seconds() -> None:
    backoff = Backoff()
    delays = [backoff.delay(0.5) for _ in range(9)]
    assert delays == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_thirty_seconds_of_life_make_the_next_restart_immediate_again() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.delay(1.0)
    assert backoff.delay(30.0) == 0.0
    assert backoff.delay(1.0) == pytest.approx(0.1)
