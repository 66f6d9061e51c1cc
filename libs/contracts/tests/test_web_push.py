"""Subscriptions of browsers: one spelling, known services only, and nothing that two readers take for two hosts."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.contracts.web_push import BROWSERS, LONGEST, PushServices, Subscription

# The example of RFC 8291, section 5.
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
GOOGLE = "https://fcm.googleapis.com/fcm/send/abc:APA91b_-~"


def subscription(endpoint: str = GOOGLE, **keys: Any) -> str:
    return json.dumps({"endpoint": endpoint, "expirationTime": None, "keys": {"p256dh": P256DH, "auth": AUTH} | keys})


def refusal(text: str) -> str:
    with pytest.raises(ValueError, match="must be") as caught:
        Subscription.read(text)
    return str(caught.value)


def test_however_it_is_written_it_is_one_subscription() -> None:
    plain = Subscription.read(subscription())
    spaced = json.dumps(json.loads(subscription(p256dh=P256DH + "=", auth=AUTH + "==")), indent=4)
    capitals = subscription(GOOGLE.replace("https://fcm", "HTTPS://FCM"))
    for other in (spaced, capitals, plain.text):
        assert Subscription.read(other).text == plain.text
    assert json.loads(plain.text) == {"endpoint": GOOGLE, "keys": {"p256dh": P256DH, "auth": AUTH}}
    assert Subscription.read(subscription(GOOGLE + "X")).text != plain.text, "paths are told apart by case"


def test_nothing_of_it_is_shown() -> None:
    shown = repr(Subscription.read(subscription()))
    assert not any(secret in shown for secret in ("abc:APA91b", P256DH, AUTH)), shown


@pytest.mark.parametrize(
    ("endpoint", "service"),
    [
        (GOOGLE, "google"),
        ("https://updates.push.services.mozilla.com/wpush/v2/gAAAA-_=", "mozilla"),
        ("https://web.push.apple.com/QGv3", "apple"),
        ("https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%3d%3d", "microsoft"),
    ],
)
def test_the_services_of_browsers_are_known(endpoint: str, service: str) -> None:
    assert BROWSERS.service_of(Subscription.read(subscription(endpoint))) == service


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://fcm.googleapis.com.evil.com/x",
        "https://evilfcm.googleapis.com/x",
        "https://notify.windows.com/x",
        "https://evilpush.apple.com/x",
        "https://push.apple.com.evil.com/x",
        "https://127.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/x",
        "https://0x7f.1/x",
        "https://localhost/x",
    ],
)
def test_a_host_that_is_no_push_service_is_none(endpoint: str) -> None:
    read = Subscription.read(subscription(endpoint))
    assert BROWSERS.service_of(read) is None
    with pytest.raises(ValueError, match="PAGER_WEB_PUSH_HOSTS"):
        BROWSERS.check(read)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://user@fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.com/x",
        "https://fcm.googleapis.com\\@evil.com/x",
        "https://evil.com\\.fcm.googleapis.com/x",
        "https://fcm.googleapis.com#@evil.com/x",
        "https://fcm.googleapis.com?@evil.com/x",
        "https://fcm.googleapis.com./x",
        "https://fcm.googleapis.com",
        "https://fcm.googleapis.com:/x",
        "https://fcm.googleapis.com:0443/x",
        "https://[::1]/x",
        "https://\uff46cm.googleapis.com/x",
        "https://fcm\u3002googleapis.com/x",
        "https://fcm.googleapis.com\n/x",
        " https://fcm.googleapis.com/x",
        "https:/fcm.googleapis.com/x",
        "//fcm.googleapis.com/x",
        "https://fcm.googleapis.com/ä",
        "https://fcm.googleapis.com/a b",
        "https://fcm.googleapis.com/x#y",
        "ftp://fcm.googleapis.com/x",
        "https://fcm.googleapis.com/" + "x" * 2048,
    ],
)
def test_an_address_that_may_be_read_in_two_ways_is_refused(endpoint: str) -> None:
    assert "endpoint" in refusal(subscription(endpoint))


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"p256dh": None}, "p256dh"),
        ({"p256dh": ""}, "p256dh"),
        ({"p256dh": P256DH[:-4]}, "p256dh"),
        ({"p256dh": "A" + P256DH[1:]}, "p256dh"),
        ({"p256dh": P256DH[:-2] + "A" + P256DH[-1]}, "p256dh"),
        ({"p256dh": P256DH.replace("_", "/")}, "p256dh"),
        ({"auth": AUTH + "AAAA"}, "auth"),
        ({"auth": 5}, "auth"),
        ({"auth": "a"}, "auth"),
    ],
)
def test_keys_that_nothing_could_be_sealed_for_are_refused(keys: dict[str, Any], named: str) -> None:
    assert f'"{named}"' in refusal(subscription(**keys))


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "fcm-token", "{", "[" * 4000, '{"endpoint": "https://fcm.googleapis.com/x"}', " " * 5000]
)
def test_what_is_no_subscription_is_refused(text: str) -> None:
    refusal(text)
    refusal(subscription() + " " * LONGEST)


def test_an_operator_names_further_services() -> None:
    services = PushServices.parse(" push.example.com, .push.example.org ,http://127.0.0.1:3001,")
    named = {
        "https://push.example.com/1": "push.example.com",
        "https://a.b.push.example.org/1": ".push.example.org",
        "http://127.0.0.1:3001/1": "http://127.0.0.1:3001",
        GOOGLE: "google",
    }
    for endpoint, service in named.items():
        assert services.service_of(Subscription.read(subscription(endpoint))) == service
    others = (
        "http://push.example.com/1",
        "https://push.example.org/1",
        "https://127.0.0.1:3001/1",
        "http://127.0.0.1/1",
    )
    for endpoint in (*others, "https://a.push.example.com/1", "http://127.0.0.1:3002/1"):
        assert services.service_of(Subscription.read(subscription(endpoint))) is None, endpoint
    exempt = [host for host in ("push.example.com", "127.0.0.1", "a.push.example.org") if services.exempts(host)]
    assert exempt == ["push.example.com", "127.0.0.1"], "what is below a name may be anybody's"
    assert services.has_loopback
    assert not BROWSERS.has_loopback


def test_an_address_is_below_nothing() -> None:
    assert PushServices.parse(".0.0.1").service_of(Subscription.read(subscription("https://127.0.0.1/x"))) is None


@pytest.mark.parametrize("text", ["*", "https://a/b", "a b", "ftp://a", "a:1", "http://a:", "ä", "http://u@a"])
def test_what_is_no_host_is_no_push_service(text: str) -> None:
    with pytest.raises(ValueError, match="must be hosts"):
        PushServices.parse(text)


@settings(max_examples=200)
@given(st.text(max_size=60))
def test_whatever_is_sent_is_read_or_refused_in_a_sentence(text: str) -> None:
    for shown in (text, subscription(text), subscription(f"https://{text}/x"), subscription(auth=text)):
        try:
            read, said = Subscription.read(shown), ""
        except ValueError as error:
            read, said = None, str(error)
        assert said.startswith("must be") if read is None else Subscription.read(read.text) == read
