"""Proofs are read from strangers: whatever one holds, it is good or it is none."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from services.auth.proofs import BadProof, read
from tests.device import DeviceKey

HEADER = {"typ": "pager-proof+jwt", "alg": "ES256"}


def _base64(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


ODD: tuple[Any, ...] = (5, None, {}, [], True, "x", ["b64"])


@pytest.mark.parametrize(
    "header",
    [
        *({**HEADER, name: value} for name in ("crit", "alg", "jwk", "kid", "b64", "zip") for value in ODD),
        *({**HEADER, "alg": algorithm} for algorithm in ("none", "HS256", "ES384")),
        *ODD,
        *(b"[" * 1400, b"\xff", b""),
    ],
    ids=repr,
)
def test_a_header_of_any_kind_is_no_error(header: Any) -> None:
    key = DeviceKey()
    good = key.proof("a refresh token")
    read(good, key.public, "a refresh token")
    _, claims, signature = good.split(".")
    with pytest.raises(BadProof):
        read(f"{_base64(header)}.{claims}.{signature}", key.public, "a refresh token")
