"""What the gateway says of where somebody is, and what is believed of it."""

import pytest

from libs.chassis.requests.peers import Peer
from libs.contracts.subjects import Header


@pytest.mark.parametrize(
    "peer",
    [
        Peer(),
        Peer("192.0.2.0/24", False, ("192.0.2.1",)),
        Peer("2001:db8:1::/48", True, ("2001:db8:1:2::/64", "2001:db8:1::/56", "2001:db8:1::/48")),
    ],
)
def test_what_is_told_is_read(peer: Peer) -> None:
    assert Peer.read(peer.headers) == peer


def test_of_a_gateway_from_before_the_coarse_network_is_the_only_one() -> None:
    assert Peer.read({Header.FROM: "192.0.2.0/24 known"}) == Peer("192.0.2.0/24", True, ("192.0.2.0/24",))


@pytest.mark.parametrize("networks", ["", "a, , b", "a, b, c, d", "x" * 65])
def test_other_words_than_ours_are_not_believed(networks: str) -> None:
    assert Peer.read({Header.FROM: "n", Header.NETWORKS: networks}).networks == ("n",)
    assert Peer.read({Header.FROM: f"n {networks}x", Header.NETWORKS: "a"}) == Peer()
