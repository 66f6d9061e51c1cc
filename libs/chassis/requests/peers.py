"""Who is asking without an access token: all that is known is where they are, and only the gateway sees that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from libs.contracts.subjects import Header

_KNOWN = "known"
_LONGEST = 64
"""Characters of a network's text."""
_WIDTHS = 3
"""Networks around one address that are told apart."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request comes from, as the gateway says.

    `Pager-From: <network>`, or `<network> known`; `Pager-Networks: <narrowest>, <wider>, …`.
    """

    network: str | None = None
    """A coarse one. None: nobody has said it. A gateway from before does not."""
    known: bool = False
    """Whether the account that is named has signed in from there before."""
    networks: tuple[str, ...] = ()
    """Those that the address may be one person's of, the narrowest first."""

    @property
    def headers(self) -> dict[str, str]:
        told = {}
        if self.network is not None:
            told[Header.FROM] = f"{self.network} {_KNOWN}" if self.known else self.network
        if self.networks:
            told[Header.NETWORKS] = ", ".join(self.networks)
        return told

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self:
        """Of anything else than our own words nothing is believed."""
        network, _, known = headers.get(Header.FROM, "").partition(" ")
        if not 0 < len(network) <= _LONGEST or known not in ("", _KNOWN):
            return cls()
        networks = tuple(headers.get(Header.NETWORKS, network).split(", "))
        if len(networks) > _WIDTHS or not all(0 < len(one) <= _LONGEST for one in networks):
            networks = (network,)
        return cls(network, known == _KNOWN, networks)
