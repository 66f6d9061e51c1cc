"""What strangers, thieves and colleagues may try, and the ledger in which tests write what each of them got."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Attack(StrEnum):
    """By what is tried; tests try each, and `python -m tests.security` prints what it got."""

    ALG_NONE = "an access token with alg=none"
    HS256 = "an access token signed with the public key as a shared secret (HS256)"
    WRONG_KID = "an access token whose key id is nobody's"
    PATH_KID = "an access token whose key id is a path"
    OWN_JWK = "an access token that brings its own key (jwk)"
    OWN_JKU = "an access token that says where its key is (jku)"
    EXPIRED = "an access token after its end"
    NOT_YET = "an access token before its beginning"
    AUDIENCE = "an access token for another audience"
    ISSUER = "an access token of another issuer"
    TAMPERED = "an access token with other claims under the same signature"
    REFRESH_AS_ACCESS = "a refresh token in the place of an access token"
    OTHER_DEVICE = "a refresh token on another device"
    NO_PROOF = "a bound session's refresh token without its device's key"
    PROOF_REPLAYED = "a proof of a device's key, used once more"
    REUSED_REFRESH = "a refresh token that was used before"
    REKEYED = "another key for a bound session, with a stolen access token"
    AFTER_LOGOUT = "an access token after its session was signed out"
    AFTER_DEACTIVATION = "an access token of somebody who was deactivated"
    AFTER_ROLE = "an access token of somebody whose role was taken away"
    AFTER_TEAM = "an access token of somebody who was taken out of a team"
    ROLE_BY_BODY = "a role, given to oneself in a body"
    TEAM_BY_BODY = "a team, given to oneself in a body"
    FOREIGN_IDS = "another team's things, by their ids"
    ENUMERATION_TEXT = "whether an account exists, by what is answered"
    ENUMERATION_TIME = "whether an account exists, by the work that is done"
    FORWARDED_FOR = "another address for each guess, by X-Forwarded-For"
    LOCKING_OUT = "locking a responder out with wrong passwords"
    GUESSING_CODES = "trying all codes of a second factor"
    STOLEN_SESSION = "a second factor or a reset link of the thief's, from an open session"
    CSRF = "a refresh from another site, with the browser's cookie"
    DEVICE_CREDENTIAL = "a device credential beyond its three uses"
    ERASED_RESTORED = "an erased person, from a restored backup"
    FOREIGN_HOST = "a mail's link that leads to the host of a request"
    LINK_TWICE = "a mail's link, used twice"
    KEY_SCOPE = "an API key beyond its scopes"
    KEY_TEAM = "an API key outside of its team"
    KEY_EXPIRED = "an API key after its end"
    KEY_ORPHAN = "an API key whose maker was deactivated"
    OIDC_CLIENT = "an identity token for another client"
    OIDC_NONCE = "an identity token without this sign-in's nonce"
    OIDC_ISSUER = "an identity token of another issuer"
    OIDC_ALG = "an identity token that no key pair has signed (none, HS256)"
    OIDC_KEY = "an identity token under another key, or one that it brings along"
    OIDC_TIMES = "an identity token after its end, or before its beginning"
    OIDC_REDIRECT = "a place of the attacker's to come back to from the identity provider"
    OIDC_VERIFIER = "a stolen code of a sign-in, without its app's verifier"
    OIDC_LOGIN_CSRF = "a browser that comes back with somebody else's sign-in"
    OIDC_CODE_TWICE = "a code of an identity provider's sign-in, used twice"
    BUS_READING = "reading the bus without an account"
    BUS_WRITING = "a service's account that writes another's subjects"
    INTERNALS = "what services ask each other, over HTTP"


Told = Callable[[Attack, str], None]
"""What an attack got, in a few words: `told(Attack.EXPIRED, "401 UNAUTHENTICATED")`."""

PROPERTY = "attack"
