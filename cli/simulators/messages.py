"""What the protocol servers hand to a door (APNs, FCM, OAuth, control), and what a door may do in return."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(slots=True)
class Request:
    """One complete request; header names are in lower case, `target` is the path with its query."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: bytes) -> str | None:
        """The first value of a header, or None; bytes outside UTF-8 are replaced."""
        for key, value in self.headers:
            if key == name:
                return value.decode("utf-8", "replace")
        return None


class Responder(Protocol):
    """The way back to the client; every method is harmless once the client is gone."""

    def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the whole response."""

    def reset(self) -> None:
        """Break the TCP connection with RST, without an answer."""


Handler = Callable[[Request, Responder], None]
