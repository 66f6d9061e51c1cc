"""Where a connection may go: what a name stands for is looked at when it is connected to, and not before."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""
_ASSIGNED: Final = IPv6Network("2000::/3")
"""All that IANA gives out as global unicast (RFC 4291, section 2.4): the rest was something once, or will be. Python
calls the rest global too, site-local addresses and those that a system translates among it."""
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""RFC 5214, section 6.1: before the IPv4 address in the last 64 bits."""
_NOBODYS: Final = (
    IPv4Network("192.0.0.0/24"),  # RFC 6890: for protocols; where some clouds answer their machines
    IPv4Network("192.88.99.0/24"),  # RFC 7526: relays of 6to4, given up
    IPv4Network("168.63.129.16/32"),  # learn.microsoft.com: what answers Azure's machines, and them alone
    IPv6Network("3fff::/20"),  # RFC 9637: for examples
)


class NotPublic(OSError):
    """A name stands for an address of a private network, of this machine, or of nobody."""


def is_public(address: str) -> bool:
    """Whether it is an address of the open internet, also where it stands inside another one."""
    try:
        read = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_is_open(one) for one in (read, *_inside(read)))


def _is_open(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _ASSIGNED:
        return address.ipv4_mapped is not None or address in _NAT64  # then what is inside counts
    is_nobodys = any(address in network for network in _NOBODYS)
    return address.is_global and not address.is_multicast and not is_nobodys


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a gateway, or the system itself, would make of it."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or int(address) >> 32 & 0xFFFF_FFFF in _ISATAP:
        found.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return [one for one in found if one is not None]


class PublicResolver(AbstractResolver):
    """Gives aiohttp the addresses that it connects to: all of a name's are public, or it is `exempt`, or none is given.

    A name that stands for something else a moment later is resolved anew by nobody: aiohttp connects to what was given
    here, and tells the server the name.
    """

    def __init__(self, inner: AbstractResolver, exempt: Callable[[str], bool]) -> None:
        self._inner = inner
        self._exempt = exempt

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises NotPublic."""
        found = await self._inner.resolve(host, port, family)
        if not self._exempt(host) and not all(is_public(one["host"]) for one in found):
            raise NotPublic("not a public address")
        return found

    async def close(self) -> None:
        await self._inner.close()
