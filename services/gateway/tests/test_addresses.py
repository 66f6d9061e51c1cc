"""Whose address it is."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from services.gateway.addresses import Addresses, networks_of, place_of

_V6 = ("2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48")


@pytest.mark.parametrize(
    ("address", "networks", "place"),
    [
        ("192.0.2.1", ("192.0.2.1",), "192.0.2.0/24"),
        ("::ffff:192.0.2.1", ("192.0.2.1",), "192.0.2.0/24"),
        ("64:ff9b::c000:201", ("192.0.2.1",), "192.0.2.0/24"),
        ("2002:c000:201::1", ("192.0.2.1",), "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", _V6, "2001:db8:1::/48"),
        ("[2001:db8:1:2::1]", _V6, "2001:db8:1::/48"),
        ("fe80::1%eth0", ("fe80::/64", "fe80::/56", "fe80::/48"), "fe80::/48"),
        ("", ("unknown",), None),
        ("unix:", ("unknown",), None),
        ("x" * 100_000, ("unknown",), None),
    ],
)
def test_an_address_belongs_to_networks_and_is_in_a_place(
    address: str, networks: tuple[str, ...], place: str | None
) -> None:
    assert (tuple(networks_of(address)), place_of(address)) == (networks, place)


@pytest.mark.parametrize(
    ("peer", "forwarded", "is_believed"),
    [
        ("192.0.2.1", [], True),
        ("192.0.2.1", ["192.0.2.1"], True),
        ("192.0.2.1", ["192.0.2.1:4711"], True),
        ("2001:db8::1", ["[2001:db8::1]:4711"], True),
        ("192.0.2.1", ["198.51.100.7", "192.0.2.1, 10.0.0.1"], True),
        ("10.0.0.1", ["192.0.2.1"], False),
    ],
)
def test_a_header_of_a_proxy_that_is_not_trusted_is_warned_of_once(
    peer: str, forwarded: list[str], is_believed: bool
) -> None:
    """What is believed has become the peer (`uvicorn`), also where a proxy writes ports or a header of its own."""
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    request = Request({"type": "http", "client": (peer, 0), "headers": headers})
    addresses = Addresses()
    with capture_logs() as logs:
        assert [addresses.of(request) for _ in range(2)] == [peer] * 2
    assert len(logs) == (0 if is_believed else 1)
