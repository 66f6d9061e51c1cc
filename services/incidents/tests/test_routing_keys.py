"""A routing key is forgotten as soon as an alert is read; its hash finds the integration and opens no other door."""

from __future__ import annotations

import json

import pytest

from services.incidents.dedup import key_hash, routing_hash, without_keys

_KEY = "k" * 32


def _key_of(raw: bytes) -> str:
    found = json.loads(raw)
    return str(found.get("routingKey", found.get("routing_key")))


@pytest.mark.parametrize(
    "raw",
    [
        b'{"summary": "x", "routingKey": "%b"}' % _KEY.encode(),
        b'{"routing_key":"%b"}' % _KEY.encode(),
        b'{"routingKey" : \n "\\u006b%b"}' % _KEY[1:].encode(),
    ],
)
def test_the_hash_of_the_key_takes_its_place_and_finds_the_integration(raw: bytes) -> None:
    kept = without_keys(raw)
    assert _KEY.encode() not in kept
    assert routing_hash(_key_of(kept), kept) == key_hash(_KEY)
    assert without_keys(b'{"summary": "routingKey"}') == b'{"summary": "routingKey"}'


@pytest.mark.parametrize(
    "raw",
    [
        b'{"routingKey": "%b", "priority": }' % _KEY.encode(),
        b'{"routingKey": "%b' % _KEY.encode(),
        b'{"routingKey": "%b\\' % _KEY.encode(),
        b'{"summary": "x", "routingKey": "\\\n%b"}' % _KEY.encode(),
        b'\xff{"routingKey": "%b"}' % _KEY.encode(),
        b'{"data": {"routingKey": "%b"}}' % _KEY.encode(),
    ],
)
def test_what_cannot_be_read_keeps_no_key_either(raw: bytes) -> None:
    assert _KEY.encode() not in without_keys(raw)


@pytest.mark.parametrize(
    "spelling", [b'{"routingKey": "%b"}', b'{"routing\\u004bey": "%b"}', b'{"routingKey": "sha256\\u003a%b"}']
)
def test_a_hash_that_leaked_is_no_key(spelling: bytes) -> None:
    leaked = key_hash(_KEY)
    value = leaked if b"\\u003a" in spelling else f"sha256:{leaked}"
    kept = without_keys(spelling % value.encode())
    assert routing_hash(_key_of(kept), kept) != leaked


def test_a_hash_beside_another_key_is_not_believed() -> None:
    leaked = f"sha256:{key_hash(_KEY)}"
    kept = without_keys(f'{{"routingKey": "other", "routing\\u004bey": "{leaked}"}}'.encode())
    assert json.loads(kept)["routingKey"] == leaked, "the later spelling wins in JSON"
    assert routing_hash(leaked, kept) != key_hash(_KEY)
