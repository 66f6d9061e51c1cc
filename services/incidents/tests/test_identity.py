"""Derived keys: which alerts stand alone, and that no sender can pass a key of its own off as ours."""

from __future__ import annotations

from services.incidents import identity


def test_an_alert_without_a_key_stands_alone() -> None:
    assert identity.stands_alone(identity.sequence_key("2026-11-25", 7, "1"))


def test_keys_that_others_can_have_do_not_stand_alone() -> None:
    for key in (identity.event_key("/shop", "42"), identity.unreadable_key("shop"), "checkout"):
        assert not identity.stands_alone(key)


def test_a_sender_cannot_name_a_key_that_stands_alone() -> None:
    spoofed = identity.sequence_key("2026-11-25", 7, "1")
    assert not identity.stands_alone(identity.named_key(spoofed))
    assert identity.named_key("checkout") == "checkout"
