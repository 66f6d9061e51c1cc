"""Where somebody is who asks: only the gateway sees that, and without an access token it is all that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Self

from libs.contracts.clients import Client
from libs.contracts.subjects import Header

_KNOWN = "known"
_HELD = "held"
_LONGEST = 64
"""Characters of a network's text."""
_WIDTHS = 3
"""Networks around one address that are told apart."""
_NARROWEST = 64
"""Of IPv6 nobody is given less than a /64, and so anybody has all its addresses."""
_LONGEST_AGENT = 200
"""Characters: browsers' have 100 to 150."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request comes from, as the gateway says.

    `Pager-From: <network>`, or `<network> known` or `<network> held`; `Pager-Networks: <narrowest>, <wider>, …`;
    `Pager-Address` and `Pager-Agent` for the audit; `Pager-Client` for events.
    """

    network: str | None = None
    """A coarse one. None: nobody has said it. A gateway from before does not."""
    known: bool = False
    """Whether the account that is named has signed in from there before."""
    networks: tuple[str, ...] = ()
    """Those that the address may be one person's of, the narrowest first."""
    address: str | None = None
    """The address itself, which is a person's: for what is sealed, and for nothing else."""
    agent: str | None = None
    """The program, as it calls itself: printable ASCII."""
    client: Client | None = None
    """With what they ask; None: it is not known."""
    held: bool = False
    """Whether there were too many wrong passwords from there: whoever is a stranger waits."""

    @property
    def headers(self) -> dict[str, str]:
        told = {}
        if self.network is not None:
            standing = _HELD if self.held else _KNOWN if self.known else ""
            told[Header.FROM] = f"{self.network} {standing}".rstrip()
        if self.networks:
            told[Header.NETWORKS] = ", ".join(self.networks)
        if self.address is not None:
            told[Header.ADDRESS] = self.address
        if self.agent is not None:
            told[Header.AGENT] = self.agent
        if self.client is not None:
            told[Header.CLIENT] = self.client
        return told

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self:
        """Of anything else than our own words nothing is believed."""
        address, agent = read_address(headers.get(Header.ADDRESS)), read_agent(headers.get(Header.AGENT))
        client = Client.read(headers.get(Header.CLIENT))
        network, _, standing = headers.get(Header.FROM, "").partition(" ")
        if not 0 < len(network) <= _LONGEST or standing not in ("", _KNOWN, _HELD):
            return cls(address=address, agent=agent, client=client)
        networks = tuple(headers.get(Header.NETWORKS, network).split(", "))
        if len(networks) > _WIDTHS or not all(0 < len(one) <= _LONGEST for one in networks):
            networks = (network,)
        return cls(network, standing == _KNOWN, networks, address, agent, client, held=standing == _HELD)


def read_address(text: str | None) -> str | None:
    """An IP address in its one spelling; None for anything else, which a proxy that we trust may have written."""
    try:
        return str(ip_address(text or ""))
    except ValueError:
        return None


def network_of(address: str | None) -> str | None:
    """The narrowest network that an address may be one person's of; None for what is none."""
    known = read_address(address)
    if known is None or ":" not in known:
        return known
    return str(ip_network((known.partition("%")[0], _NARROWEST), strict=False))


def read_agent(text: str | None) -> str | None:
    """As much of it as one looks at, without what forges lines of logs; None for none."""
    return "".join(c if " " <= c <= "~" else "?" for c in (text or "")[:_LONGEST_AGENT]).strip() or None
