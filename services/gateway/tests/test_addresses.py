"""Whose address it is."""

from __future__ import annotations

import pytest

from services.gateway.addresses import networks_of, place_of

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
