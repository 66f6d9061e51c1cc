"""Which devices a person can be paged on."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.auth import DeviceAdded, DeviceRegistered, DeviceRemoved, Platform
from libs.contracts.requests import Invalid
from libs.contracts.web_push import PushServices
from services.auth.domain.devices import RegisterDevice, RemoveDevice, device_entity, guess_platform
from services.auth.entities import DEVICES

BO = UUID("00000000-0000-4000-8000-000000000001")
CY = UUID("00000000-0000-4000-8000-000000000002")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
REGISTER = RegisterDevice(BO, "phone", "Bo's phone", Platform.ANDROID, "fcm-token-1", NOW)
SUBSCRIPTION = (
    '{"endpoint": "https://fcm.googleapis.com/fcm/send/abc:APA91b_-", "expirationTime": null, "keys": {"p256dh": '
    '"BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4", '
    '"auth": "BTBZMqHH6r4Tts7J_aSIgg"}}'
)
REGISTERED = DeviceRegistered(
    user_id=BO,
    device_id="phone",
    name="Bo's phone",
    platform=Platform.ANDROID,
    push_token="fcm-token-1",
    registered_at=NOW,
)
ADDED = DeviceAdded(user_id=BO, device_id="phone")
REMOVED = DeviceRemoved(user_id=BO, device_id="phone", reason="signed out")


def test_a_device_is_registered() -> None:
    Given(DEVICES, []).when(REGISTER).then([REGISTERED, ADDED])


def test_repeating_a_registration_decides_nothing() -> None:
    Given(DEVICES, [REGISTERED]).when(REGISTER).then_nothing()


def test_registering_the_same_later_is_news_since_its_vendor_may_have_refused_the_token_meanwhile() -> None:
    later = NOW.replace(hour=10)
    again = REGISTERED.model_copy(update={"registered_at": later})
    Given(DEVICES, [REGISTERED]).when(replace(REGISTER, now=later)).then([again, ADDED]).when(REGISTER).then_nothing()


def test_an_iphones_token_is_kept_in_one_spelling_and_googles_as_it_is() -> None:
    apple = replace(REGISTER, platform=Platform.IOS, push_token="AbCd" * 16)
    (fact, _) = Given(DEVICES, []).when(apple).facts
    assert isinstance(fact, DeviceRegistered)
    assert fact.push_token == "abcd" * 16
    Given(DEVICES, [fact]).when(replace(apple, push_token="ABCD" * 16)).then_nothing()
    (fact, _) = Given(DEVICES, []).when(replace(REGISTER, push_token="ABCD" * 16)).facts
    assert isinstance(fact, DeviceRegistered)
    assert fact.push_token == "ABCD" * 16


def test_a_browsers_subscription_is_kept_in_one_spelling() -> None:
    browser = replace(REGISTER, platform=Platform.WEB, push_token=SUBSCRIPTION)
    (fact, _) = Given(DEVICES, []).when(browser).facts
    assert isinstance(fact, DeviceRegistered)
    assert fact.push_token != SUBSCRIPTION
    assert json.loads(fact.push_token) == {k: v for k, v in json.loads(SUBSCRIPTION).items() if k != "expirationTime"}
    Given(DEVICES, [fact]).when(
        replace(browser, push_token=json.dumps(json.loads(SUBSCRIPTION), indent=1))
    ).then_nothing()


def test_a_subscription_of_another_service_is_one_where_an_operator_has_named_it() -> None:
    token = SUBSCRIPTION.replace("fcm.googleapis.com", "push.example.com")
    browser = replace(REGISTER, platform=Platform.WEB, push_token=token)
    refused = Given(DEVICES, []).when(browser).then_rejected(Invalid)
    assert refused.field == "pushToken"
    assert "PAGER_WEB_PUSH_HOSTS" in str(refused)
    named = replace(browser, services=PushServices.parse("push.example.com"))
    Given(DEVICES, []).when(named).then_types(DeviceRegistered, DeviceAdded)


@pytest.mark.parametrize(
    ("platform", "token"),
    [
        (Platform.IOS, "ab" * 16),
        (Platform.IOS, "ab" * 80),
        (Platform.ANDROID, "dQw4w9WgXcQ:APA91b_-x" + "y" * 140),
        (Platform.ANDROID, "fcm-or-apns-token"),
        (Platform.WEB, SUBSCRIPTION),
    ],
)
def test_a_token_that_a_vendor_could_have_made_is_taken(platform: Platform, token: str) -> None:
    Given(DEVICES, []).when(replace(REGISTER, platform=platform, push_token=token)).then_types(
        DeviceRegistered, DeviceAdded
    )


@pytest.mark.parametrize(
    ("platform", "token"),
    [
        (Platform.IOS, "ab" * 15),
        (Platform.IOS, "ab" * 32 + "a"),
        (Platform.IOS, "ab" * 201),
        (Platform.IOS, "fcm-or-apns-token"),
        (Platform.IOS, "../" + "ab" * 32),
        (Platform.ANDROID, "t"),
        (Platform.ANDROID, "not a token"),
        (Platform.ANDROID, "dQw4w9WgXcQ:APA91b/+=="),
        (Platform.ANDROID, "dQw4w9WgXcQ:APA91b_-\u00e9"),
        (Platform.WEB, "fcm-or-apns-token"),
        (Platform.WEB, '{"endpoint": "https://fcm.googleapis.com/1"}'),
        (Platform.WEB, SUBSCRIPTION.replace("https", "http")),
        (Platform.WEB, SUBSCRIPTION.replace(".com/", ".com.evil.com/")),
    ],
)
def test_a_token_that_no_vendor_makes_is_refused(platform: Platform, token: str) -> None:
    command = replace(REGISTER, platform=platform, push_token=token)
    assert Given(DEVICES, []).when(command).then_rejected(Invalid).field == "pushToken"


@pytest.mark.parametrize("changes", [{"name": "Bo's new phone"}, {"push_token": "fcm-token-2"}])
def test_another_name_token_or_platform_replaces_what_was_registered(changes: dict[str, str]) -> None:
    command = replace(REGISTER, **changes)  # type: ignore[arg-type]
    Given(DEVICES, [REGISTERED]).when(command).then([REGISTERED.model_copy(update=dict(changes)), ADDED])


def test_a_device_is_removed_with_its_reason() -> None:
    Given(DEVICES, [REGISTERED]).when(RemoveDevice("signed out")).then([REMOVED])


def test_removing_what_is_not_there_decides_nothing() -> None:
    Given(DEVICES, []).when(RemoveDevice("signed out")).then_nothing()
    Given(DEVICES, [REGISTERED, REMOVED]).when(RemoveDevice("signed out")).then_nothing()


def test_a_removed_device_may_come_back() -> None:
    Given(DEVICES, [REGISTERED, REMOVED]).when(REGISTER).then([REGISTERED, ADDED])


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"device_id": "a\0b"}, "deviceId"), ({"name": "a\nb"}, "deviceName"), ({"push_token": "\0"}, "pushToken")],
)
def test_control_characters_are_refused(changes: dict[str, str], field: str) -> None:
    command = replace(REGISTER, **changes)  # type: ignore[arg-type]
    assert Given(DEVICES, []).when(command).then_rejected(Invalid).field == field


def test_names_may_hold_any_letters_and_emoji() -> None:
    Given(DEVICES, []).when(replace(REGISTER, name="Bø\u2019s 👨‍👩‍👧 phone")).then_types(DeviceRegistered, DeviceAdded)


@pytest.mark.parametrize("token", ["a" * 64, "0123456789ABCDEFabcdef0123456789" * 2])
def test_sixty_four_hex_digits_are_an_iphones_token(token: str) -> None:
    assert guess_platform(token) is Platform.IOS


@pytest.mark.parametrize("token", ["a" * 63, "a" * 65, "g" * 64, "a" * 64 + "\n", "fcm:APA91b"])
def test_any_other_token_is_taken_for_androids(token: str) -> None:
    assert guess_platform(token) is Platform.ANDROID


def test_two_people_with_the_same_device_id_have_two_devices() -> None:
    assert device_entity(BO, "phone") != device_entity(CY, "phone")
    assert device_entity(BO, "phone") != device_entity(BO, "phone/2")
