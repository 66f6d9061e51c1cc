"""Access and refresh tokens, and the keys that sign."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from joserfc import jwt

from libs.chassis.requests.callers import Verifier
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.sessions import AllGoOn
from libs.contracts.auth import KeySet, UserView
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import MOST_TEAMS
from libs.contracts.requests import Unauthenticated
from libs.contracts.teams import TeamOf
from services.auth.sealing import Seal, WrongKey
from services.auth.tokens import AccessTokens, RefreshToken, SigningKey, same

SESSION = UUID("00000000-0000-4000-8000-00000000000a")
USER = UserView(
    id=UUID("00000000-0000-4000-8000-000000000001"),
    email="bo@example.com",
    first_name="Bo",
    last_name="Ek",
    roles=(Role.LEAD, Role.USER),
    version=3,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)
KEY = SigningKey.generate()
OLDER = SigningKey.generate()


def access(key: SigningKey = KEY) -> AccessTokens:
    async def signs() -> SigningKey:
        return key

    return AccessTokens(signs, timedelta(minutes=15))


def verifier(clock: MovableClock, *keys: SigningKey) -> Verifier:
    async def fetch() -> KeySet:
        return KeySet(keys=tuple(key.public_jwk for key in keys))

    async def sleep(seconds: float) -> None:
        clock.advance(seconds=seconds)

    return Verifier(fetch, clock, AllGoOn(), sleep=sleep)


async def test_an_access_token_says_who_on_which_device_in_which_session() -> None:
    clock = MovableClock()
    token = await access().issue(USER, SESSION, "phone", clock.now())
    caller = await verifier(clock, KEY).verify(token)
    assert (caller.user_id, caller.session_id, caller.device_id) == (USER.id, SESSION, "phone")
    assert caller.roles == {Role.LEAD, Role.USER}
    assert caller.expires_at == clock.now() + timedelta(minutes=15)
    assert access().expires_in == 900


async def test_an_access_token_ends_after_its_lifetime() -> None:
    clock = MovableClock()
    checks = verifier(clock, KEY)
    token = await access().issue(USER, SESSION, "phone", clock.now())
    clock.advance(minutes=14, seconds=59)
    await checks.verify(token)
    clock.advance(seconds=1)
    with pytest.raises(Unauthenticated):
        await checks.verify(token)


async def test_an_access_token_says_what_its_person_is_in_each_of_their_teams() -> None:
    clock, team = MovableClock(), uuid4()
    user = USER.model_copy(update={"teams": (TeamOf(id=team, name="Core", role=TeamRole.MANAGER),)})
    token = await access().issue(user, SESSION, "phone", clock.now())
    assert (await verifier(clock, KEY).verify(token)).teams == {team: TeamRole.MANAGER}


async def test_an_access_token_of_somebody_in_as_many_teams_as_may_be_is_no_longer_than_one_may_be() -> None:
    clock, teams = MovableClock(), [uuid4() for _ in range(MOST_TEAMS)]
    held = tuple(TeamOf(id=team, name="Core", role=TeamRole.MANAGER) for team in teams)
    token = await access().issue(USER.model_copy(update={"teams": held}), SESSION, "d" * 255, clock.now())
    assert len((await verifier(clock, KEY).verify(token)).teams) == MOST_TEAMS


async def test_an_access_token_says_of_which_version_its_person_is() -> None:
    clock = MovableClock()
    token = await access().issue(USER, SESSION, "phone", clock.now())
    assert (await verifier(clock, KEY).verify(token)).version == USER.version == 3


async def test_tokens_of_every_published_key_are_valid_and_no_others() -> None:
    clock = MovableClock()
    checks = verifier(clock, OLDER, KEY)
    for key in (KEY, OLDER):
        await checks.verify(await access(key).issue(USER, SESSION, "phone", clock.now()))
    with pytest.raises(Unauthenticated):
        await verifier(clock, OLDER).verify(await access(KEY).issue(USER, SESSION, "phone", clock.now()))


async def test_every_access_token_has_an_id_of_its_own_and_names_its_key() -> None:
    now = MovableClock().now()
    tokens = [jwt.decode(await access().issue(USER, SESSION, "phone", now), KEY.private) for _ in range(2)]
    assert tokens[0].claims["jti"] != tokens[1].claims["jti"]
    assert tokens[0].header == {"typ": "JWT", "alg": "RS256", "kid": KEY.kid}


def test_a_refresh_token_survives_its_text() -> None:
    token = RefreshToken.issue(SESSION)
    assert RefreshToken.parse(token.text) == token
    assert token.session_id == SESSION


def test_the_next_refresh_token_is_of_the_same_family_with_another_secret() -> None:
    token = RefreshToken.issue(SESSION)
    following = token.next(b"k" * 32)
    assert following == token.next(b"k" * 32), "it can be given again"
    assert following != token.next(b"l" * 32), "nobody without the key can tell it"
    assert following != RefreshToken(uuid4(), token.family, token.secret).next(b"k" * 32)
    assert following.session_id == SESSION
    assert same(following.family_hash, token.family_hash)
    assert not same(following.secret_hash, token.secret_hash)


def test_two_sign_ins_have_nothing_in_common() -> None:
    one, other = RefreshToken.issue(SESSION), RefreshToken.issue(SESSION)
    assert not same(one.family_hash, other.family_hash)
    assert not same(one.secret_hash, other.secret_hash)


@pytest.mark.parametrize("text", ["", "x", "nonsense", "é", "A" * 107, "A" * 112, "\0", "=" * 108])
def test_what_is_no_refresh_token_is_told_apart_at_once(text: str) -> None:
    assert RefreshToken.parse(text) is None


def test_secrets_do_not_show_in_the_representation() -> None:
    token = RefreshToken.issue(SESSION)
    assert repr(token) == f"RefreshToken(session_id={SESSION!r})"
    assert "private" not in repr(KEY)


def test_what_is_sealed_opens_under_the_master_keys_that_are_given_and_no_other() -> None:
    sealed = Seal("m" * 32).close(KEY.kid, KEY.pem)
    assert b"PRIVATE" not in sealed
    for seal in (Seal("m" * 32), Seal("n" * 32, "m" * 32), Seal("m" * 32, "n" * 32)):
        assert seal.open(KEY.kid, sealed) == KEY.pem
    with pytest.raises(WrongKey):
        Seal("n" * 32).open(KEY.kid, sealed)
    anew = Seal("n" * 32, "m" * 32).close(KEY.kid, KEY.pem)
    assert Seal("n" * 32).open(KEY.kid, anew) == KEY.pem, "the present one seals"
    assert Seal("n" * 32).name != Seal("m" * 32).name == Seal("m" * 32, "n" * 32).name


def test_what_is_sealed_does_not_open_under_another_name_or_when_changed() -> None:
    sealed = Seal("m" * 32).close(KEY.kid, KEY.pem)
    for name, changed in ((str(uuid4()), sealed), (KEY.kid, sealed[:-1] + bytes([sealed[-1] ^ 1])), (KEY.kid, b"")):
        with pytest.raises(WrongKey):
            Seal("m" * 32).open(name, changed)


def test_a_public_key_holds_nothing_private() -> None:
    assert set(KEY.public_jwk) == {"kty", "n", "e", "use", "alg", "kid"}
    assert KEY.public_jwk["kid"] == KEY.kid
