"""The identity provider's settings, whose account is whose, and which key has signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey

from libs.contracts.model import Role, TeamRole
from libs.contracts.oidc import IdentityLinked, IdentityUnlinked, LinkedBy, StartOidc
from libs.contracts.requests import Unauthenticated
from services.auth.domain.identities import Free, Linked, LinkIdentity, UnlinkIdentity, decide, evolve, initial
from services.auth.oidc.configuration import Configuration, provider_fault, redirect_uris, scopes
from services.auth.oidc.grants import Grants, group_roles
from services.auth.oidc.id_tokens import (
    BadToken,
    Expected,
    Header,
    NoSuchKey,
    claims_of,
    header_of,
    keys_of,
    signed_by,
)
from services.auth.oidc.identity import identity_of, together
from services.auth.oidc.pending import LASTS, Pending, PendingSignIns

ANA, BO, ACCOUNT = (UUID(int=n) for n in (1, 2, 3))
ISSUER = "https://id.example.com"
LINK = LinkIdentity(ANA, ACCOUNT, ISSUER, LinkedBy.ADDRESS)
LINKED = IdentityLinked(user_id=ANA, identity_id=ACCOUNT, issuer=ISSUER, by=LinkedBy.ADDRESS)
PARTED = IdentityUnlinked(user_id=ANA, identity_id=ACCOUNT)


def test_an_account_is_one_persons_at_a_time() -> None:
    assert decide(LINK, initial()) == [LINKED]
    assert decide(LINK, Linked(ANA, ACCOUNT)) == []
    assert decide(LINK, Linked(BO, ACCOUNT)) == [LINKED]
    assert decide(UnlinkIdentity(), Linked(ANA, ACCOUNT)) == [PARTED]
    assert decide(UnlinkIdentity(), Free()) == []
    assert evolve(evolve(Free(), LINKED), PARTED) == Free()


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.com/in?x=1",
        "http://localhost:5173/in",
        "http://127.0.0.1/in",
        "http://[::1]:80/in",
        "com.example.pager:/in",
        "pager://in",
    ],
)
def test_apps_may_be_at(uri: str) -> None:
    assert redirect_uris(f" {uri} ,, {uri}") == (uri,)


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.com/in",
        "http://localhost.example.com/in",
        "https://user@app.example.com/in",
        "https:///in",
        "https://app.example.com:99999/in",
        "https://app.example.com/in#here",
        "/app/in",
        "app",
        "pager:",
        "javascript:alert(1)",
        "data:text/html,x",
        "Pager:/in",
        "https://app.example.com/i n",
        "https://app.example.com/é",
        "pager:/" + "x" * 512,
        ",".join(f"pager:/{n}" for n in range(21)),
    ],
)
def test_apps_may_not_be_at(uri: str) -> None:
    with pytest.raises(ValueError, match=r"must|is no|names no"):
        redirect_uris(uri)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://id.example.com/realms/one", True),
        ("https://id.example.com/", True),
        ("http://localhost:8080", True),
        ("http://id.example.com", False),
        ("http://localhost.example.com", False),
        ("https://u:p@id.example.com", False),
        ("https://id.example.com?x", False),
        ("id.example.com", False),
    ],
)
def test_a_provider_is_reached_where_nobody_listens(url: str, good: bool) -> None:
    assert (provider_fault(url) is None) is good


def test_groups_give_roles_and_teams() -> None:
    groups = group_roles(
        '{"bosses": "admin", "sre": ["user", "lead", {"team": " The  Payments "}],'
        ' "payers": {"team": "the payments", "role": "manager"}}'
    )
    configuration = Configuration(ISSUER, "pager", None, "", (), groups, "groups", "openid")
    payments, manager = "the payments", {"the payments": TeamRole.MANAGER}
    sre = Grants(frozenset({Role.USER, Role.LEAD}), {payments: TeamRole.MEMBER})
    assert configuration.given_by(["sre", "others"]) == sre
    for order in (["sre", "payers"], ["payers", "sre"]):
        assert configuration.given_by(order) == Grants(sre.roles, manager)
    assert configuration.given_by([]).is_nothing
    assert configuration.managed == Grants(frozenset(Role), manager)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "[]", '{"a": "boss"}', '{"a": []}', '{"a": [["admin"]]}', '{"a": null}', '{"": "user"}', "[" * 9999),
        *('{"a": {}}', '{"a": {"team": ""}}', '{"a": {"team": "t", "role": "admin"}}', '{"a": {"team": "t", "x": 1}}'),
        *('{"a": {"team": "t", "role": []}}', '{"a": ["user", "boss"]}'),
    ],
)
def test_groups_that_give_something_else_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|is no|expected|characters"):
        group_roles(text)


@pytest.mark.parametrize("text", ["", "email", "openid  email", "openid\nemail", 'openid "x"', "openid" + " x" * 999])
def test_scopes_are_scopes(text: str) -> None:
    with pytest.raises(ValueError, match="openid among them"):
        scopes(text)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_key_signs_what_it_is_for() -> None:
    one, two = (RSAKey.generate_key(2048, {"kid": kid}).as_dict(private=False) for kid in ("one", "two"))
    curve = ECKey.generate_key("P-256", {"kid": "curve"}).as_dict(private=False)
    weak = RSAKey.generate_key(1024, {"kid": "weak"}).as_dict(private=False)
    others = [{"kty": "oct", "k": "AAAA", "kid": "one"}, two | {"use": "enc", "kid": "enc"}, weak, {"kty": "RSA"}, None]
    keys = keys_of({"keys": [one, two, curve, *others]})
    assert [key.kid for key in keys] == ["one", "two", "curve"]
    assert signed_by(Header("RS256", "two"), keys).kid == "two"
    assert signed_by(Header("ES256", None), keys).kid == "curve"
    for header in (
        Header("RS256", None),
        Header("RS256", "three"),
        Header("ES256", "one"),
        Header("ES384", "curve"),
        Header("RS256", "curve"),
    ):
        with pytest.raises(NoSuchKey):
            signed_by(header, keys)
    (pinned,) = keys_of({"keys": [one | {"alg": "RS256"}]})
    with pytest.raises(NoSuchKey):
        signed_by(Header("PS256", "one"), [pinned])
    for answer in ({}, {"keys": None}, {"keys": {"a": 1}}, {"keys": [one] * 101}):
        assert len(keys_of(answer)) <= 100


def test_what_a_browser_keeps_fits_into_a_cookie_and_is_nobodys_to_change() -> None:
    now = datetime(2026, 3, 2, 9, 15, tzinfo=UTC)
    body = StartOidc(device_id="\U0001f4df" * 255, redirect_uri="pager:/" + "x" * 505, code_challenge="A" * 43)
    pending, signs = Pending.begin(body, now), PendingSignIns(lambda: b"k" * 32)
    cookie = signs.close(pending)
    assert len(cookie) < 4000
    assert signs.open(cookie) == pending
    for other in (cookie[:-8] + "AAAAAAA=", cookie[4:], "", "é", "A"):
        assert signs.open(other) is None
    assert PendingSignIns(lambda: b"l" * 32).open(cookie) is None
    assert pending.is_good(pending.state, now)
    assert not pending.is_good("", now)
    assert not pending.is_good(pending.state, now + LASTS)
    assert not pending.is_good(pending.state, now - timedelta(minutes=2))


@pytest.mark.parametrize("token", ["", "..", "a.b", "é.b.c", "e30.b.c", "W10.b.c", "x" * 5000 + ".b.c", "bnVsbA.b.c"])
def test_what_is_no_token_is_refused_before_a_key_is_asked_for(token: str) -> None:
    with pytest.raises(Unauthenticated):
        header_of(token)


@pytest.mark.parametrize(
    ("claims", "told", "email"),
    [
        ({"email": "eva@a.test", "email_verified": True}, {}, "eva@a.test"),
        ({"email": "eva@a.test"}, {"email": "eva@a.test", "email_verified": True}, "eva@a.test"),
        ({}, {"email": "eva@a.test", "email_verified": True}, "eva@a.test"),
        ({"email": "eva@a.test"}, {"email_verified": True}, None),
        ({"email": "admin@a.test"}, {"email": "eva@a.test", "email_verified": True}, None),
        ({"email_verified": True}, {"email": "admin@a.test"}, None),
        ({"email": "eva@a.test", "email_verified": False}, {"email": "eva@a.test", "email_verified": True}, None),
    ],
)
def test_an_address_is_verified_by_the_word_that_stands_beside_it(
    claims: dict[str, object], told: dict[str, object], email: str | None
) -> None:
    who = {"iss": ISSUER, "sub": "eva"}
    assert identity_of(together({**who, **claims}, told), "groups").email == email


def test_a_signed_token_of_any_kind_is_no_error() -> None:
    """Whoever signs is the provider: what it writes may be broken all the same."""
    key = ECKey.generate_key("P-256")
    for claims in (b"[" * 40_000, b"[]", b"5", b"\xff", b"", b'{"a":' * 5_000):
        token = jws.serialize_compact({"alg": "ES256"}, claims, key)
        with pytest.raises(BadToken):
            claims_of(token, key, Expected(ISSUER, "pager", "a nonce", None), datetime.now(UTC))
