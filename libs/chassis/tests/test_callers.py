"""Access tokens: only auth's keys, only access tokens, only until they expire."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

from libs.chassis.bus.connection import BusAway
from libs.chassis.requests.callers import Caller, ClocksApart, Unsure, Verifier
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.sessions import AllGoOn
from libs.contracts.auth import KeySet
from libs.contracts.model import Role
from libs.contracts.permissions import Action
from libs.contracts.requests import ErrorKind, Forbidden, Unauthenticated

_USER = UUID(int=7)


def _key() -> RSAKey:
    key = RSAKey.generate_key(2048)
    key.ensure_kid()
    return key


_FIRST, _SECOND = _key(), _key()


@dataclass
class Auth:
    """Auth's key door."""

    keys: list[RSAKey] = field(default_factory=lambda: [_FIRST])
    asked: int = 0
    away: bool = False

    async def fetch(self) -> KeySet:
        self.asked += 1
        if self.away:
            raise BusAway("auth does not answer")
        return KeySet(keys=tuple(dict(key.as_dict(private=False)) for key in self.keys))


def _token(clock: MovableClock, key: Any = _FIRST, **changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": "pager",
        "use": "access",
        "sub": str(_USER),
        "roles": ["user"],
        "sid": str(uuid4()),
        "did": "phone",
        "jti": str(uuid4()),
        "aud": "pager",
        "iat": int(clock.now().timestamp()),
        "nbf": int(clock.now().timestamp()),
        "exp": int(clock.now().timestamp()) + 900,
    }
    header = {"alg": changes.pop("alg", "RS256"), "kid": changes.pop("kid", key.kid)}
    given = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(header, given, key)


def _seconds(clock: MovableClock) -> int:
    return int(clock.now().timestamp())


def _signed_with_the_public_key(clock: MovableClock) -> str:
    """The confusion of RS256 and HS256: the public key, which anybody has, as a shared secret."""
    claims = _token(clock).split(".")[1]
    header = urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": _FIRST.kid}).encode()).rstrip(b"=").decode()
    signature = hmac.digest(_FIRST.as_pem(private=False), f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_a_good_token_names_its_caller_and_keys_are_asked_for_once() -> None:
    clock, auth = MovableClock(), Auth()
    verifier = Verifier(auth.fetch, clock, AllGoOn())
    for _ in range(3):
        caller = await verifier.verify(_token(clock))
        assert (caller.user_id, caller.roles, caller.device_id) == (_USER, frozenset({Role.USER}), "phone")
    assert auth.asked == 1
    caller.require(Action.ME)
    with pytest.raises(Forbidden):
        caller.require(Action.PEOPLE_WRITE)


async def test_a_crowd_that_comes_right_after_a_start_asks_for_the_keys_once() -> None:
    clock, auth = MovableClock(), Auth(away=True)
    verifier = Verifier(auth.fetch, clock, AllGoOn())

    async def crowd() -> list[Any]:
        return await asyncio.gather(*(verifier.verify(_token(clock)) for _ in range(50)), return_exceptions=True)

    assert {type(one) for one in await crowd()} == {BusAway}
    assert auth.asked == 1
    auth.away = False
    assert {type(one) for one in await crowd()} == {Caller}
    assert auth.asked == 2


async def test_a_token_expires_to_the_second_also_one_that_was_seen_before() -> None:
    clock = MovableClock()
    verifier = Verifier(Auth().fetch, clock, AllGoOn())
    token = _token(clock)
    await verifier.verify(token)
    clock.advance(seconds=899)
    await verifier.verify(token)
    clock.advance(seconds=1)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_forged_tokens_are_counted_and_old_ones_are_not() -> None:
    clock, counted = MovableClock(), list[None]()
    verifier = Verifier(Auth().fetch, clock, AllGoOn(), lambda: counted.append(None))
    old = _token(clock)
    clock.advance(minutes=16)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            await verifier.verify(old)
    with pytest.raises(Unauthenticated):
        await verifier.verify(None)
    assert counted == []
    for number, token in enumerate(("x.y.z", _token(clock, aud="others"), _signed_with_the_public_key(clock)), 1):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)
        assert len(counted) == number


def _patient(auth: Auth, clock: MovableClock) -> Verifier:
    """Its waiting moves the clock."""

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        clock.advance(seconds=seconds)

    return Verifier(auth.fetch, clock, AllGoOn(), sleep=sleep)


async def _all(verifier: Verifier, tokens: list[str]) -> set[type[Any]]:
    """What they come to, at once."""
    return {type(one) for one in await asyncio.gather(*map(verifier.verify, tokens), return_exceptions=True)}


async def test_a_new_key_is_never_a_wrong_token_however_lately_auth_was_asked() -> None:
    clock, auth = MovableClock(), Auth()
    verifier = _patient(auth, clock)
    await verifier.verify(_token(clock))
    for number in range(5):
        auth.keys = [new := _key()]
        assert await _all(verifier, [_token(clock, new) for _ in range(20)]) == {Caller}
        assert await _all(verifier, [_token(clock, new, kid="invented")]) == {Unauthenticated}
        assert auth.asked == 3 + 2 * number


async def test_a_token_that_comes_while_auth_is_asked_waits_for_that_answer_and_for_the_next() -> None:
    clock, auth = MovableClock(), Auth()
    verifier = _patient(auth, clock)
    await verifier.verify(_token(clock))
    came: list[asyncio.Task[Caller]] = []
    fetch = auth.fetch

    async def fetch_slowly() -> KeySet:
        """Auth changes its key right after it has answered, and somebody comes with the new one before we hear."""
        answer = await fetch()
        if not came:
            auth.keys = [_SECOND]
            came.append(asyncio.create_task(verifier.verify(_token(clock, _SECOND))))
            await asyncio.sleep(0)
        return answer

    verifier.fetch_keys = fetch_slowly
    assert await _all(verifier, [_token(clock, kid="invented")]) == {Unauthenticated}
    assert isinstance(await came[0], Caller)


@pytest.mark.thorough
async def test_invented_key_ids_have_auth_asked_once_a_second_and_keep_a_bounded_number_of_places() -> None:
    clock, auth = MovableClock(), Auth()
    verifier = _patient(auth, clock)
    await verifier.verify(_token(clock))
    began = clock.now()
    for number in range(10):
        assert await _all(verifier, [_token(clock, kid=f"{number}-{n}") for n in range(100)]) == {Unauthenticated}
    assert auth.asked == 11
    assert (clock.now() - began).total_seconds() == 10
    assert await _all(verifier, [_token(clock, kid=f"more-{n}") for n in range(101)]) == {Unauthenticated, Unsure}
    assert await _all(verifier, [_token(clock)]) == {Caller}, "whose key is known waits for nobody"


@pytest.mark.parametrize(
    "forge",
    [
        lambda clock: _token(clock, _SECOND, kid=_FIRST.kid),
        lambda clock: _token(clock, iss="somebody"),
        lambda clock: _token(clock, iss=None),
        lambda clock: _token(clock, use="refresh"),
        lambda clock: _token(clock, use=None),
        lambda clock: _token(clock, sub="not-a-uuid"),
        lambda clock: _token(clock, sub=None),
        lambda clock: _token(clock, roles=["god"]),
        lambda clock: _token(clock, exp=None),
        lambda clock: _token(clock, exp=str(_seconds(clock) + 900)),
        lambda clock: _token(clock, exp=10**30),
        lambda clock: _token(clock, exp=_seconds(clock) + 3601),
        lambda clock: _token(clock, iat=None),
        lambda clock: _token(clock, iat=True),
        lambda clock: _token(clock, iat=_seconds(clock) - 10**6),
        lambda clock: _token(clock, iat=_seconds(clock) + 901),
        lambda clock: _token(clock, nbf=_seconds(clock) + 901),
        lambda clock: _token(clock, nbf="soon"),
        lambda clock: _token(clock, aud="somebody"),
        lambda clock: _token(clock, aud=["pager", "somebody"]),
        lambda clock: _token(clock, jti=None),
        lambda clock: _token(clock, jti="x" * 5000),
        lambda clock: _token(clock, did="x" * 256),
        lambda clock: _token(clock, did=None),
        lambda clock: _token(clock, sid="none"),
        lambda clock: _token(clock)[:-6] + "AAAAAA",
        lambda clock: _token(clock).rsplit(".", 1)[0] + ".",
        _signed_with_the_public_key,
        lambda _clock: "eyJhbGciOiJub25lIn0." + "eyJpc3MiOiJwYWdlciJ9" + ".",
        lambda _clock: "a.b.c",
        lambda _clock: "x" * 10_000,
    ],
)
async def test_forged_tokens_are_refused(forge: Any) -> None:
    clock = MovableClock()
    verifier = Verifier(Auth().fetch, clock, AllGoOn())
    await verifier.verify(_token(clock))
    clock.advance(seconds=6)
    with pytest.raises(Unauthenticated):
        await verifier.verify(forge(clock))


async def test_clocks_may_be_a_minute_apart_and_auth_as_it_was_before_is_believed() -> None:
    clock = MovableClock()
    verifier = Verifier(Auth().fetch, clock, AllGoOn())
    await verifier.verify(_token(clock, iat=_seconds(clock) + 60, nbf=_seconds(clock) + 60))
    await verifier.verify(_token(clock, aud=None, nbf=None))


@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_a_token_of_auths_that_begins_later_means_clocks_apart_and_signs_nobody_out(claim: str) -> None:
    clock = MovableClock()
    verifier = Verifier(Auth().fetch, clock, AllGoOn())
    token = _token(clock, **{claim: _seconds(clock) + 75})
    with pytest.raises(ClocksApart) as refused:
        await verifier.verify(token)
    assert refused.value.refusal().kind is ErrorKind.UNAVAILABLE
    assert refused.value.refusal().retry_after == 15
    with pytest.raises(ClocksApart) as later:
        await verifier.verify(_token(clock, **{claim: _seconds(clock) + 890}))
    assert later.value.refusal().retry_after == 60
    with pytest.raises(Unauthenticated):
        await verifier.verify(_token(clock, _SECOND, kid=_FIRST.kid, **{claim: _seconds(clock) + 75}))
    clock.advance(seconds=15)
    await verifier.verify(token)


async def test_a_rotated_key_that_auth_could_not_tell_yet_is_no_wrong_token() -> None:
    clock, auth = MovableClock(), Auth()
    verifier = _patient(auth, clock)
    await verifier.verify(_token(clock))
    auth.keys, auth.away = [_SECOND], True
    for _ in range(2):
        assert await _all(verifier, [_token(clock, _SECOND) for _ in range(10)]) == {BusAway}
    assert auth.asked == 3, "and it is not asked each time"
    auth.away = False
    await verifier.verify(_token(clock, _SECOND))
    clock.advance(seconds=-3600)  # a clock that was set back
    auth.keys = [_FIRST]
    await verifier.verify(_token(clock, _FIRST))


async def test_what_needs_a_role_needs_to_know_that_the_session_goes_on() -> None:
    clock = MovableClock()
    admin = await Verifier(Auth().fetch, clock, AllGoOn()).verify(_token(clock, roles=["admin"]))
    admin.require(Action.POLICIES_WRITE)
    unsure = replace(admin, certain=False)
    unsure.require(Action.INCIDENTS_ACKNOWLEDGE)
    for action in (Action.POLICIES_WRITE, Action.PEOPLE_WRITE):
        assert not unsure.may(action)
        with pytest.raises(Unsure):
            unsure.require(action)


def _with_header(clock: MovableClock, **header: Any) -> str:
    """A token of auth's key whose header says this besides, signed as it is."""
    claims = json.loads(_decoded(_token(clock).split(".")[1]))
    return jwt.encode({"alg": "RS256", "kid": _FIRST.kid} | header, claims, _FIRST, registry=_LENIENT)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


_LENIENT = JWSRegistry(strict_check_header=False)
_KID_OF_A_FILE = "../../../../../../dev/null"


@pytest.mark.parametrize(
    "header",
    [
        {"kid": _KID_OF_A_FILE},
        {"kid": "file:///etc/passwd"},
        {"kid": "' OR 1=1 --"},
        {"kid": "\x00"},
        {"kid": ""},
        {"kid": "k" * 65},
        {"kid": "k" * 10_000},
        {"jku": "https://example.org/keys.json"},
        {"x5u": "https://example.org/key.pem"},
        {"jwk": dict(_SECOND.as_dict(private=False))},
        {"x5c": ["MIIB"]},
        {"typ": "JWT", "cty": "JWT"},
    ],
    ids="-".join,
)
async def test_a_header_that_auth_does_not_write_is_refused_without_asking_auth(header: dict[str, Any]) -> None:
    clock, auth = MovableClock(), Auth()
    verifier = Verifier(auth.fetch, clock, AllGoOn())
    with pytest.raises(Unauthenticated):
        await verifier.verify(_with_header(clock, **header))
    assert auth.asked == 0
    await verifier.verify(_with_header(clock, typ="JWT"))


@pytest.mark.parametrize(
    "header", ["", "[]", "{", "1", "null", "[" * 3000, "é", '{"alg":"RS256","kid":["x"]}', '{"kid":{}}']
)
async def test_what_is_no_header_at_all_is_refused(header: str) -> None:
    clock, auth = MovableClock(), Auth()
    verifier = Verifier(auth.fetch, clock, AllGoOn())
    with pytest.raises(Unauthenticated):
        await verifier.verify(".".join((urlsafe_b64encode(header.encode()).decode(), *_token(clock).split(".")[1:])))
    assert auth.asked == 0


async def test_a_token_that_brings_its_own_key_is_refused() -> None:
    """Signed by a stranger, whose public key stands in its header under a name of auth's."""
    clock = MovableClock()
    verifier = Verifier(Auth().fetch, clock, AllGoOn())
    theirs = dict(_SECOND.as_dict(private=False)) | {"kid": _FIRST.kid}
    for more in ({"jwk": theirs}, {}):
        header = {"alg": "RS256", "kid": _FIRST.kid} | more
        claims = json.loads(_decoded(_token(clock).split(".")[1]))
        with pytest.raises(Unauthenticated):
            await verifier.verify(jwt.encode(header, claims, _SECOND, registry=_LENIENT))


async def test_a_token_without_the_name_of_its_key_is_refused_also_where_there_is_one_key_alone() -> None:
    clock, auth = MovableClock(), Auth()
    verifier = Verifier(auth.fetch, clock, AllGoOn())
    claims = json.loads(_decoded(_token(clock).split(".")[1]))
    with pytest.raises(Unauthenticated):
        await verifier.verify(jwt.encode({"alg": "RS256"}, claims, _FIRST))


async def test_a_key_that_auth_has_given_up_is_refused_with_all_that_it_has_signed() -> None:
    """While auth is away its last word holds."""
    clock, auth = MovableClock(), Auth(keys=[_FIRST, _SECOND])
    verifier = _patient(auth, clock)
    old = _token(clock)
    await verifier.verify(old)
    following = asyncio.create_task(verifier.follow())
    try:
        await _asked(verifier, clock)
        auth.keys = [_SECOND]
        auth.away = True
        await _asked(verifier, clock)
        await verifier.verify(old)
        auth.away = False
        await _asked(verifier, clock)
        for token in (old, _token(clock)):
            with pytest.raises(Unauthenticated):
                await verifier.verify(token)
        await verifier.verify(_token(clock, _SECOND))
    finally:
        following.cancel()


async def _asked(verifier: Verifier, clock: MovableClock) -> None:
    """Return when it has asked once more, for the keys were old."""
    before = verifier._asked_at
    await asyncio.sleep(0)
    while verifier._asked_at == before or (verifier._asking is not None and not verifier._asking.done()):
        clock.advance(seconds=1)
        await asyncio.sleep(0)


async def test_no_token_is_refused_without_asking_auth() -> None:
    auth = Auth()
    verifier = Verifier(auth.fetch, MovableClock(), AllGoOn())
    for token in (None, ""):
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)
    assert auth.asked == 0


async def test_while_auth_is_away_known_keys_go_on_and_unknown_ones_are_no_refusal() -> None:
    clock, auth = MovableClock(), Auth()
    known, fresh = Verifier(auth.fetch, clock, AllGoOn()), Verifier(auth.fetch, clock, AllGoOn())
    await known.verify(_token(clock))
    auth.away = True
    await known.verify(_token(clock))
    with pytest.raises(BusAway):
        await fresh.verify(_token(clock))
    auth.away = False
    await fresh.verify(_token(clock))


async def test_a_token_says_of_which_version_its_person_is_and_nothing_odd() -> None:
    clock = MovableClock()
    verifier = Verifier(Auth().fetch, clock, AllGoOn())
    assert (await verifier.verify(_token(clock))).version == 0, "auth as it was before does not say"
    assert (await verifier.verify(_token(clock, ver=7))).version == 7
    for odd in (-1, "7", 7.0, True):
        with pytest.raises(Unauthenticated):
            await verifier.verify(_token(clock, ver=odd))
