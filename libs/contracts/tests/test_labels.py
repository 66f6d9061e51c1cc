"""What tells alerts of one key apart, as senders write it, well and badly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.contracts.alerts import Alert, read_alert
from libs.contracts.labels import BRIEF_LIMIT, brief, cut
from libs.contracts.leniency import KEY_LIMIT


def read(headers: dict[str, str] | None = None, **fields: Any) -> Alert:
    return read_alert("pager.alerts.db", headers or {}, json.dumps({"summary": "x"} | fields).encode())


def binary(**attributes: str) -> dict[str, str]:
    given = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t"} | attributes
    return {f"ce-{name}": value for name, value in given.items()}


def test_a_named_fingerprint_comes_before_an_attribute_and_that_before_labels() -> None:
    labels = {"pod": "1"}
    assert read(binary(fingerprint="b"), fingerprint="a", labels=labels).fingerprint == "a"
    assert read(binary(fingerprint="b"), labels=labels).fingerprint == "b"
    assert (read(binary(), labels=labels).fingerprint or "").startswith("labels:")
    assert read(binary()).fingerprint is None
    event = {"specversion": "1.0", "id": "1", "source": "/a", "fingerprint": "c", "data": {"summary": "x"}}
    found = read_alert("pager.alerts.db", {"content-type": "application/cloudevents+json"}, json.dumps(event).encode())
    assert found.fingerprint == "c"


def test_a_fingerprint_groups_where_no_key_is_given_and_labels_never_do() -> None:
    assert read(fingerprint="a").dedup_key == "a"
    assert read(fingerprint="a", dedupKey="k").dedup_key == "k"
    assert read(labels={"service": "shop"}).dedup_key is None, "two problems of one service are two"
    assert read(fingerprint="a", dedupKey=[7]).dedup_key is None


def test_labels_are_told_apart_by_names_and_texts_together() -> None:
    prints = [
        read(labels=labels).fingerprint
        for labels in ({"a": "b", "c": "d"}, {"c": "d", "a": "b"}, {"a": "bcd"}, {"ab": "cd"}, {"a": "b"}, ["a", "b"])
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 5
    assert read(labels={"replica": 2, "up": True}).labels == {"replica": "2", "up": "true"}
    assert read(labels={}).fingerprint is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fingerprint": ["a"]}, "fingerprint (not text)"),
        ({"fingerprint": " "}, "fingerprint (empty)"),
        ({"fingerprint": "a" * (KEY_LIMIT + 1)}, "fingerprint (longer"),
        ({"labels": "a=b"}, "labels (not an object)"),
        ({"links": {"href": "https://a"}}, "links (not a list)"),
        ({"links": [{"href": "javascript:alert(1)"}]}, "links (some"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_said(fields: dict[str, Any], said: str) -> None:
    alert = read(**fields)
    assert said in (alert.description or "")
    assert (alert.fingerprint, alert.labels, alert.links) == (None, {}, ())
    assert fields.keys() <= alert.unread


def test_an_attribute_that_is_too_long_is_left_out_and_said() -> None:
    alert = read(binary(fingerprint="a" * (KEY_LIMIT + 1)))
    assert (alert.fingerprint, "fingerprint" in alert.unread) == (None, True)
    assert "fingerprint (longer" in (alert.description or "")
    assert "\0" not in (read(binary(fingerprint="a%00b")).fingerprint or "\0"), "no table could hold it"


def test_only_links_that_can_be_followed_are_kept() -> None:
    links = ["https://a/b?c=1", {"href": "HTTP://a", "text": "Board"}, "ftp://a", "https://a\n", "https://a b", 7, {}]
    assert [(one.href, one.text) for one in read(links=links).links] == [
        ("https://a/b?c=1", None),
        ("HTTP://a", "Board"),
    ]


def test_too_much_is_cut_with_a_mark() -> None:
    alert = read(labels={f"{n:03}" + "n" * 99: "v" * 999 for n in range(99)}, links=["https://a"] * 30)
    *kept, last = alert.labels.items()
    assert 20 < len(kept) <= 50
    assert all((len(name), len(text), name[-1], text[-1]) == (64, 255, "…", "…") for name, text in kept)
    assert last == ("…", f"{99 - len(kept)} more were left out by Pager")
    assert len(alert.links) == 10
    assert cut("abc", 3) == "abc"
    assert (brief("a" * 5000) or "").endswith("… [shortened by Pager: 5000 characters]")
    assert len((brief("a" * 5000) or "").partition("…")[0]) == BRIEF_LIMIT


def test_what_was_cut_is_told_apart_all_the_same() -> None:
    one, other = (read(labels={"log": "v" * 999 + end}) for end in "ab")
    assert one.labels == other.labels
    assert one.fingerprint != other.fingerprint
