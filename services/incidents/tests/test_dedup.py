"""Derived keys: which alerts stand alone, and that no sender can pass a key of its own off as ours."""

from __future__ import annotations

import json
from hashlib import sha256
from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from libs.contracts.defaults import PAGER
from libs.contracts.slots import thread_of
from services.incidents import dedup


def test_an_alert_without_a_key_stands_alone() -> None:
    assert dedup.stands_alone(dedup.sequence_key("2026-11-25", 7, "1"))


def test_keys_that_others_can_have_do_not_stand_alone() -> None:
    for key in (dedup.event_key("/shop", "42", "d"), dedup.bytes_key("shop", b"{"), "checkout"):
        assert not dedup.stands_alone(key)


def test_a_sender_cannot_name_a_key_that_stands_alone() -> None:
    spoofed = dedup.sequence_key("2026-11-25", 7, "1")
    assert not dedup.stands_alone(dedup.named_key(spoofed))
    assert dedup.named_key("checkout") == "checkout"


def test_nobody_groups_by_the_keys_of_another_team() -> None:
    ours, theirs = UUID(int=1), UUID(int=2)
    keys = {dedup.named_key("checkout", team) for team in (None, ours, theirs)}
    assert len(keys) == 3
    assert {dedup.shown_key(dedup.named_key("checkout", team), team) for team in (None, ours)} == {"checkout"}
    assert dedup.named_key(dedup.named_key("checkout", ours)) not in keys, "nor by spelling it"


def test_the_same_id_with_another_body_is_another_alert() -> None:
    integration = UUID(int=1)
    one, two = (dedup.event_identity(integration, "/shop", "1", digest) for digest in ("a", "b"))
    assert one != two
    assert dedup.event_key("/shop", "1", "a") != dedup.event_key("/shop", "1", "b")


def test_a_key_is_found_in_what_cannot_be_read() -> None:
    key = "k" * 32
    for raw in (b'{"routingKey": "%b", "summary": ' % key.encode(), b'\xff "routing_key":"%b"' % key.encode()):
        assert dedup.key_hash_in(dedup.without_keys(raw)) == dedup.key_hash(key)
    assert dedup.key_hash_in(b"db down") is None


def test_the_same_place_in_a_recreated_stream_is_another_alert() -> None:
    places = [("2026-11-25", 7, "1"), ("2026-11-26", 7, "1"), ("2026-11-25", 8, "1"), ("2026-11-25", 7, "2")]
    assert len({dedup.sequence_key(*place) for place in places}) == len(places)


def test_keys_that_look_alike_when_joined_stay_apart() -> None:
    integration = UUID(int=1)
    assert dedup.incident_id(integration, "c1", 1234) != dedup.incident_id(integration, "c11", 234)
    assert dedup.event_identity(integration, "a", "bc", "d") != dedup.event_identity(integration, "ab", "c", "d")
    assert dedup.sequence_key("x", 1, "2") != dedup.sequence_key("x", 12, "")


@given(st.text(), st.integers(1, 10**9))
def test_ids_that_are_spelt_by_hand_are_those_of_the_json(key: str, number: int) -> None:
    integration = UUID(int=7)

    def derived(*parts: str | int) -> UUID:
        return uuid5(PAGER, json.dumps(parts, ensure_ascii=False))

    assert thread_of(integration, key) == derived("dedup", str(integration), key)
    assert dedup.incident_id(integration, key, number) == derived("incident", str(integration), key, number)
    spelt = json.dumps(["sequence", key, number, key], ensure_ascii=False)
    assert dedup.sequence_key(key, number, key) == f"pager:alone:{sha256(spelt.encode()).hexdigest()}"
