"""What the notifier sends is what the phones read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from places import IOS, JAVA, SWIFT, constants, text

from libs.contracts.device_keys import PROOF_AUDIENCE, PROOF_TYPE
from libs.contracts.notifier import NotificationKind
from services.gateway.device_doors import PROOF
from services.notifier.push.message import QUIET_KINDS, Page, apns_minimal_payload, apns_payload, fcm_message

NOW = datetime(2026, 10, 19, 9, 0, tzinfo=UTC)
NOT_FOLLOWED = {"url", "expiresAt"}
"""A phone opens its own server's incident, by id; and no page is hidden by a clock that may be wrong."""


def a_page(**changes: Any) -> Page:
    values: dict[str, Any] = {
        "notification_id": UUID("11111111-1111-5111-8111-111111111111"),
        "incident_id": UUID("22222222-2222-7222-8222-222222222222"),
        "kind": "page",
        "title": "db down",
        "body": "no replica left",
        "priority": "critical",
        "incident_url": "https://pager.example.org/app/incidents/22222222-2222-7222-8222-222222222222",
        "level": 2,
        "expires_at": NOW + timedelta(minutes=5),
    }
    return Page(**(values | changes))


def fcm(page: Page) -> dict[str, str]:
    data: dict[str, str] = fcm_message(page, "token", NOW)["message"]["data"]
    return data


def _java_keys() -> set[str]:
    """Those that `Push` reads, of a page and of a test."""
    source = text(JAVA / "Push.java").partition("// The keys")[2].partition("\n\n")[0]
    return set(re.findall(r'"(\w+)"', source))


def _swift_keys() -> set[str]:
    source = text(SWIFT / "PagerCore/Push.swift").partition("enum Key {")[2].partition("}")[0]
    return set(re.findall(r'"(\w+)"', source))


def test_android_reads_the_keys_of_the_data_message() -> None:
    assert set(fcm(a_page())) - NOT_FOLLOWED == _java_keys() - {"test"}


def test_ios_reads_the_keys_of_the_payload() -> None:
    assert set(apns_payload(a_page())) - NOT_FOLLOWED - {"aps"} == _swift_keys() - {"test"}
    assert set(apns_payload(a_page())["aps"]["alert"]) == {"title", "body"}


def test_the_category_with_the_buttons_is_the_one_that_pushes_name() -> None:
    assert apns_payload(a_page())["aps"]["category"] == constants(SWIFT / "PagerCore/PageCategory.swift")["incident"]


def test_the_sound_that_pushes_name_is_in_the_app() -> None:
    sound = apns_payload(a_page())["aps"]["sound"]["name"]
    assert (IOS / "App" / sound).is_file()
    assert f"/* {sound} in Resources */" in text(IOS / "App.xcodeproj/project.pbxproj")
    assert apns_payload(a_page(priority="low"))["aps"]["sound"] == sound


def test_the_extension_runs_for_every_push() -> None:
    for kind in ("page", *sorted(QUIET_KINDS)):
        assert apns_payload(a_page(kind=kind))["aps"]["mutable-content"] == 1


def test_the_least_payload_is_a_page_all_the_same() -> None:
    assert set(apns_minimal_payload(a_page())) == {"aps", "incidentId", "notificationId"}


def test_what_is_quiet_for_the_notifier_is_quiet_on_phones() -> None:
    for path in (JAVA / "Push.java", SWIFT / "PagerCore/Push.swift"):
        said = set(re.findall(r'case (?:"(\w+)"|(\w+)$)', text(path), re.MULTILINE))
        words = {one or other for one, other in said}
        assert words & {*QUIET_KINDS, *NotificationKind} >= QUIET_KINDS, path.name


def test_priorities_are_the_notifiers() -> None:
    words = set(re.findall(r'return "(\w+)"', text(JAVA / "Priority.java")))
    swift = set(re.findall(r"^    case (\w+)$", text(SWIFT / "PagerCore/Priority.swift"), re.MULTILINE))
    assert words == swift == {"critical", "high", "medium", "low"}


def test_proofs_are_named_as_auth_wants_them() -> None:
    assert {PROOF_TYPE, PROOF_AUDIENCE} <= set(constants(JAVA / "Proof.java").values())
    assert {PROOF_TYPE, PROOF_AUDIENCE} <= set(constants(SWIFT / "PagerCore/Proof.swift").values())
    assert f'"{PROOF}"' in text(JAVA / "Courier.java")
    assert f'"{PROOF}"' in text(SWIFT / "PagerCore/Requests.swift")


def test_channels_have_a_version_and_there_is_one_for_each_priority() -> None:
    channels = constants(JAVA / "Channels.java")
    assert set(channels.values()) >= {f"pager.{word}.1" for word in ("critical", "high", "medium", "low")}
    assert all(re.fullmatch(r"pager\.\w+\.\d+", one) for one in channels.values())
