"""Derived keys: which alerts stand alone, and that no sender can pass a key of its own off as ours."""

from __future__ import annotations

from services.incidents import dedup


def test_an_alert_without_a_key_stands_alone() -> None:
    assert dedup.stands_alone(dedup.sequence_key("2026-11-25", 7, "1"))


def test_keys_that_others_can_have_do_not_stand_alone() -> None:
    for key in (dedup.event_key("/shop", "42"), dedup.unreadable_key("shop"), "checkout"):
        assert not dedup.stands_alone(key)


def test_a_sender_cannot_name_a_key_that_stands_alone() -> None:
    spoofed = dedup.sequence_key("2026-11-25", 7, "1")
    assert not dedup.stands_alone(dedup.named_key(spoofed))
    assert dedup.named_key("checkout") == "checkout"
