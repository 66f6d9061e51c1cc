"""One provider token per key, never renewed too often, never too old."""

import base64
import json
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from services.notifier.push.provider_token import ProviderToken
from services.notifier.tests.push_pages import MovableClock, pem

KEY = pem(ec.generate_private_key(ec.SECP256R1()))


def a_token(clock: MovableClock) -> ProviderToken:
    return ProviderToken(key=KEY, key_id="KEY1234567", team_id="TEAM123456", clock=clock)


def issued_at(header: str) -> int:
    claims = header.removeprefix("bearer ").split(".")[1]
    return int(json.loads(base64.urlsafe_b64decode(claims + "=="))["iat"])


def test_the_token_is_signed_as_apple_wants() -> None:
    header = a_token(MovableClock()).get_header()
    token = jwt.decode(header.removeprefix("bearer "), ECKey.import_key(KEY), algorithms=["ES256"])
    assert token.header == {"alg": "ES256", "kid": "KEY1234567"}
    assert token.claims["iss"] == "TEAM123456"


def test_restarts_and_replicas_make_the_same_token() -> None:
    clock = MovableClock()
    first = a_token(clock).get_header()
    assert a_token(clock).get_header() == first


def test_over_a_day_no_token_is_too_old_and_none_is_replaced_too_soon() -> None:
    clock = MovableClock()
    token = a_token(clock)
    first_seen: dict[str, float] = {}
    for _ in range(24 * 60):
        header, now = token.get_header(), clock.now().timestamp()
        first_seen.setdefault(header, now)
        assert 0 <= now - issued_at(header) <= 50 * 60
        clock.move(minutes=1)
    seen = list(first_seen.values())[1:]
    assert all(later - earlier >= 20 * 60 for earlier, later in pairwise(seen))


def test_many_refusals_of_one_token_make_one_new_token() -> None:
    clock = MovableClock()
    token = a_token(clock)
    old = token.get_header()
    clock.move(seconds=1)
    token.renew(old)
    new = token.get_header()
    assert new != old
    token.renew(old)
    clock.move(minutes=5)
    token.renew(new)
    assert token.get_header() == new


@pytest.mark.parametrize("minute", range(0, 50, 7))
def test_a_forced_token_lives_at_least_20_minutes_and_never_an_hour(minute: int) -> None:
    clock = MovableClock()
    token = a_token(clock)
    clock.move(seconds=60 * minute + 1)
    token.renew(token.get_header())
    seen: dict[str, float] = {}
    for _ in range(120):
        header, now = token.get_header(), clock.now().timestamp()
        seen.setdefault(header, now)
        assert now - issued_at(header) < 60 * 60
        clock.move(minutes=1)
    times = list(seen.values())
    assert all(later - earlier >= 20 * 60 for earlier, later in pairwise(times))


def test_too_many_updates_brings_the_old_token_back() -> None:
    clock = MovableClock()
    token = a_token(clock)
    old = token.get_header()
    clock.move(seconds=30)
    token.renew(old)
    token.revert(token.get_header())
    assert token.get_header() == old
    clock.move(minutes=59)
    assert token.get_header() != old


def test_too_many_updates_without_an_older_token_keeps_the_only_one() -> None:
    token = a_token(MovableClock())
    only = token.get_header()
    token.revert(only)
    assert token.get_header() == only


def test_a_clock_set_back_makes_a_new_token() -> None:
    clock = MovableClock()
    token = a_token(clock)
    old = token.get_header()
    clock.move(hours=-3)
    assert token.get_header() != old


@pytest.mark.parametrize("key", ["", "not a key", pem(ec.generate_private_key(ec.SECP384R1()))])
def test_a_key_that_can_never_work_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match=r"^is not an unencrypted P-256 private key \(\.p8\)$"):
        ProviderToken(key=key, key_id="k", team_id="t", clock=MovableClock())
