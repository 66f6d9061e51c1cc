"""Who somebody is at the provider, as the claims of an ID token that was checked say."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from libs.contracts.requests import Unauthenticated
from libs.contracts.texts import EmailAddress
from services.auth.oidc.grants import LONGEST_GROUP, MOST_GROUPS

_EMAIL: TypeAdapter[str] = TypeAdapter(EmailAddress)


class GroupsNotTold(Unauthenticated):
    """the identity provider does not tell your groups, or too many: have it tell only those that Pager is to know"""

    reason = "groups not told"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is at the provider; `email` is None unless the provider has verified it."""

    issuer: str
    subject: str = field(repr=False)
    email: str | None = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    groups: frozenset[str]
    several_factors: bool
    """The provider says that it has asked for more than one."""


def together(claims: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """What the ID token claims, and what it leaves out as it is told elsewhere.

    Whether an address was verified is believed of the one that stands beside it alone: elsewhere there may be another.
    """
    both = {**told, **claims}
    said = [one.get("email_verified") for one in (claims, told) if one.get("email") == both.get("email")]
    return both | {"email_verified": next((word for word in said if word is not None), None)}


def identity_of(claims: Mapping[str, Any], groups_claim: str) -> Identity:
    """Raises GroupsNotTold."""
    first, last = _names(claims)
    methods = claims.get("amr")
    return Identity(
        issuer=claims["iss"],
        subject=claims["sub"],
        email=_verified_email(claims),
        first_name=first,
        last_name=last,
        groups=_groups(claims, groups_claim),
        several_factors=isinstance(methods, list) and "mfa" in methods,
    )


def _verified_email(claims: Mapping[str, Any]) -> str | None:
    """True and nothing else: a text "true" has been written by somebody who does not know what it is for."""
    if claims.get("email_verified") is not True:
        return None
    try:
        return _EMAIL.validate_python(claims.get("email"), strict=True)
    except ValidationError:
        return None


def _groups(claims: Mapping[str, Any], claim: str) -> frozenset[str]:
    """None that are told are none: whoever has lost all of them must not keep what they gave."""
    elsewhere = claims.get("_claim_names")
    groups = claims.get(claim, ())
    if isinstance(groups, str):
        groups = (groups,)
    if (isinstance(elsewhere, dict) and claim in elsewhere) or not isinstance(groups, Sequence):
        raise GroupsNotTold
    if len(groups) > MOST_GROUPS:
        raise GroupsNotTold
    return frozenset(group for group in groups if isinstance(group, str) and len(group) <= LONGEST_GROUP)


def _names(claims: Mapping[str, Any]) -> tuple[str, str]:
    """As far as they are told; both are something to see, which their owner may change."""
    first, last, whole = (_line(claims.get(name)) for name in ("given_name", "family_name", "name"))
    if not (first and last) and whole:
        before, _, after = whole.rpartition(" ")
        first, last = first or before.strip() or after, last or after
    local = _line(str(claims.get("email", "")).partition("@")[0])
    return first or local or "New", last or local or "Person"


def _line(value: Any) -> str:
    """One line of at most 100 characters; empty where there is nothing to see."""
    if not isinstance(value, str):
        return ""
    seen = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") else c for c in value[:1000])
    text = " ".join(seen.split())[:100].strip()
    return text if any(unicodedata.category(c)[0] in "LNPS" for c in text) else ""
