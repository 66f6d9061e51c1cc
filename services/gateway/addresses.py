"""Whose address it is: people are told apart by networks, of which one person may have a whole one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import structlog
from starlette.requests import HTTPConnection

from libs.chassis.requests.peers import Peer, read_agent

_log = structlog.get_logger()
UNKNOWN = "unknown"
_NAT64 = IPv6Network("64:ff9b::/96")
_WIDTHS = (64, 56, 48)
"""Of IPv6 a connection is given a /64, a household often a /56 and a company a /48."""


def networks_of(address: str) -> Sequence[str]:
    """The networks that an address may be one person's of, the narrowest first; an IPv4 address is one by itself."""
    known = _read(address)
    if known is None:
        return (UNKNOWN,)  # a proxy that we trust has written something else there
    if isinstance(known, IPv4Address):
        return (str(known),)
    return tuple(_network(known, width) for width in _WIDTHS)


def peer_of(address: str, agent: str | None = None, *, known: bool = False) -> Peer:
    """What services are told of where a caller is."""
    return Peer(place_of(address), known, tuple(networks_of(address)), shown_address(address), read_agent(agent))


def shown_address(address: str) -> str | None:
    """An address in its one spelling; None for what is none."""
    found = _read(address)
    return None if found is None else str(found)


def place_of(address: str) -> str | None:
    """A coarse place: a phone's own addresses are mostly in one, and a stranger's in another."""
    known = _read(address)
    if known is None:
        return None
    return str(ip_network((known, 24 if known.version == 4 else 48), strict=False))


def _network(known: IPv6Address, width: int) -> str:
    """As `str(ip_network(...))`, in half the time: each request of a stranger asks three times."""
    return f"{IPv6Address(int(known) >> 128 - width << 128 - width)}/{width}"


def _read(address: str) -> IPv4Address | IPv6Address | None:
    """An IPv6 address that only carries an IPv4 one is that one (RFC 4291, 6052 and 3056)."""
    try:
        known = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(known, IPv4Address):
        return known
    if known in _NAT64:
        return IPv4Address(int(known) & 0xFFFF_FFFF)
    return known.ipv4_mapped or known.sixtofour or known


@dataclass
class Addresses:
    """Reads a caller's address, which is the peer's, or what a proxy that we trust has seen (`uvicorn`)."""

    _warned: bool = False

    def of(self, request: HTTPConnection) -> str:
        """The address as text; empty where there is none."""
        address = request.client.host if request.client is not None else ""
        forwarded = request.headers.getlist("x-forwarded-for")
        # Some proxies write the port as well: what was believed is a part of what they wrote.
        believed = not forwarded or any(address in part for part in forwarded)
        if not (believed or self._warned):
            # Once: anybody may send the header. Behind a proxy of ours all people would be one address.
            self._warned = True
            _log.warning("X-Forwarded-For of a peer that PAGER_TRUSTED_PROXIES does not name", peer=address)
        return address
