"""Pages become the payloads and headers that the vendors and our app expect, within their limits."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.examples import examples
from services.notifier.push.message import apns_headers, apns_minimal_payload, apns_payload, encode, fcm_message
from services.notifier.tests.push_pages import NOW, TOKEN, a_page

INCIDENT = "22222222-2222-5222-8222-222222222222"
NOTIFICATION = "11111111-1111-5111-8111-111111111111"


def test_a_critical_page_breaks_through_silence_on_ios() -> None:
    payload = apns_payload(a_page())
    assert payload["aps"] == {
        "alert": {"title": "db down", "body": "primary does not answer"},
        "sound": {"critical": 1, "name": "page.caf", "volume": 1.0},
        "interruption-level": "critical",
        "thread-id": INCIDENT,
        "category": "INCIDENT",
        "mutable-content": 1,
    }
    assert {key: payload[key] for key in ("incidentId", "notificationId", "priority", "kind", "url", "level")} == {
        "incidentId": INCIDENT,
        "notificationId": NOTIFICATION,
        "priority": "critical",
        "kind": "page",
        "url": "https://pager.example/incidents/2",
        "level": 1,
    }


def test_a_low_page_is_time_sensitive() -> None:
    aps = apns_payload(a_page(priority="low"))["aps"]
    assert (aps["interruption-level"], aps["sound"]) == ("time-sensitive", "page.caf")


@pytest.mark.parametrize("kind", ["acknowledged", "resolved"])
def test_a_replacement_is_silent_and_uses_the_same_collapse_id(kind: str) -> None:
    page = a_page(kind=kind)
    aps = apns_payload(page)["aps"]
    assert "sound" not in aps
    assert aps["interruption-level"] == "passive"
    headers = apns_headers(page, topic="com.pager", now=NOW)
    assert (headers["apns-priority"], headers["apns-collapse-id"]) == ("5", INCIDENT)


def test_apns_headers_name_intent_incident_and_expiry() -> None:
    assert apns_headers(a_page(), topic="com.pager", now=NOW) == {
        "apns-topic": "com.pager",
        "apns-push-type": "alert",
        "apns-priority": "10",
        "apns-id": NOTIFICATION,
        "apns-collapse-id": INCIDENT,
        "apns-expiration": str(int((NOW + timedelta(minutes=30)).timestamp())),
    }


@pytest.mark.parametrize(
    ("delta", "expected"),
    [(timedelta(0), "0"), (timedelta(days=-1), "0"), (timedelta(days=90), str(int(NOW.timestamp()) + 30 * 86_400))],
)
def test_apns_expiry_stays_in_what_apple_takes(delta: timedelta, expected: str) -> None:
    headers = apns_headers(a_page(expires_at=NOW + delta), topic="t", now=NOW)
    assert headers["apns-expiration"] == expected


def test_an_fcm_message_is_data_only_and_urgent() -> None:
    message = fcm_message(a_page(), "tok", NOW)["message"]
    assert message["token"] == "tok"
    assert message["android"] == {"priority": "HIGH", "ttl": "1800s", "direct_boot_ok": True}
    assert set(message) == {"token", "data", "android"}
    assert message["data"]["notificationId"] == NOTIFICATION
    assert message["data"]["incidentId"] == INCIDENT
    assert message["data"]["level"] == "1"
    assert all(isinstance(value, str) for value in message["data"].values())
    assert not [key for key in message["data"] if key.startswith(("google", "gcm", "from"))]


@pytest.mark.parametrize(("delta", "ttl"), [(-5, "0s"), (0.9, "0s"), (90, "90s"), (10_000_000, "2419200s")])
def test_fcm_ttl_stays_in_what_google_takes(delta: float, ttl: str) -> None:
    page = a_page(expires_at=NOW + timedelta(seconds=delta))
    assert fcm_message(page, "tok", NOW)["message"]["android"]["ttl"] == ttl


def test_a_long_body_is_cut_between_characters_and_marked() -> None:
    payload = apns_payload(a_page(body="é" * 5000))
    body = payload["aps"]["alert"]["body"]
    assert body.endswith("é…")
    assert 4090 <= len(encode(payload)) <= 4096
    assert payload["aps"]["alert"]["title"] == "db down"


def test_a_huge_body_title_and_link_still_make_a_page() -> None:
    page = a_page(title='"' * 9000, body="\x00" * 600_000, incident_url="https://x/" + "a" * 9000)
    payload = apns_payload(page)
    assert len(encode(payload)) <= 4096
    assert payload["url"] == ""
    assert payload["aps"]["alert"]["title"].endswith("…")
    assert payload["notificationId"] == NOTIFICATION


def test_the_minimal_payload_still_makes_the_sound() -> None:
    payload = apns_minimal_payload(a_page(title="\U0001f525" * 5000))
    assert payload["aps"]["sound"]["critical"] == 1
    assert len(encode(payload)) < 400


TEXT = st.one_of(
    st.text(alphabet=st.characters(), max_size=3000),
    st.text(alphabet='"\\\n\x00é😀\ud800a', min_size=1, max_size=30).map(lambda text: text * 300),
)


@given(title=TEXT, body=TEXT, url=TEXT)
@settings(max_examples=examples(60))
def test_any_text_fits_both_vendors(title: str, body: str, url: str) -> None:
    page = a_page(title=title, body=body, incident_url=url)
    assert len(encode(apns_payload(page))) <= 4096
    message: dict[str, Any] = fcm_message(page, TOKEN, NOW)["message"]
    assert len(encode(message["data"])) <= 4096
    assert sum(len(key.encode()) + len(value.encode()) for key, value in message["data"].items()) <= 4096
    encode(apns_minimal_payload(page))
