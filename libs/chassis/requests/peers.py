"""Who is asking without an access token: all that is known is where they are, and only the gateway sees that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

_KNOWN = "known"
_LONGEST = 64
"""Characters of a network's text."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a request comes from, as the gateway says (header `Pager-From`: `<network>`, or `<network> known`)."""

    network: str | None = None
    """None: nobody has said it. A gateway from before does not."""
    known: bool = False
    """Whether the account that is named has signed in from there before."""

    @property
    def header(self) -> str:
        return f"{self.network} {_KNOWN}" if self.known else str(self.network)

    @classmethod
    def read(cls, header: str | None) -> Self:
        """Of anything else than our own words nothing is believed."""
        network, _, known = (header or "").partition(" ")
        if not 0 < len(network) <= _LONGEST or known not in ("", _KNOWN):
            return cls()
        return cls(network, known == _KNOWN)
