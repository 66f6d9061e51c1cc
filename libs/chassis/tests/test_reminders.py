"""An alarm about what lasts is raised at once, and once an hour for as long as it lasts."""

from __future__ import annotations

from libs.chassis.consume.alarm import Reminders
from libs.chassis.testing.clock import MovableClock


def test_what_lasts_is_due_at_once_and_again_after_an_hour_and_what_came_again_at_once() -> None:
    clock = MovableClock()
    reminders = Reminders(clock)
    assert reminders.due(["disk"]) == ["disk"]
    assert reminders.due(["disk"]) == ["disk"], "nobody has heard of it yet"
    reminders.told("disk")
    clock.advance(minutes=59)
    assert reminders.due(["disk", "stream"]) == ["stream"]
    clock.advance(minutes=1)
    assert reminders.due(["disk"]) == ["disk"]
    reminders.told("disk")
    assert reminders.due([]) == []
    assert reminders.due(["disk"]) == ["disk"], "it had ended in between"
