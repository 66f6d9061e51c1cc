"""Where a connection may go: what a name stands for is looked at when it is connected to, and not before."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

_NAT64: Final = IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are an IPv4 address."""


class NotPublic(OSError):
    """A name stands for an address of a private network, of this machine, or of nobody."""


def is_public(address: str) -> bool:
    """Whether it is an address of the open internet, also where it stands inside another one."""
    try:
        read = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in (read, *_inside(read)))


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that a gateway, or the system itself, would make of it."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
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
