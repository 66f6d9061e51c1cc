"""With what somebody acted: one list, for events, timelines and the audit.

The gateway says it of each request, and it gives nobody any right: a program can call itself what it likes. What it
proves itself goes before what it says: an API key is one, and a browser's session is the web's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

DECLARED: Final = "Pager-Client"
"""The header in which a client says what it is: `push`, `app`, `web` or `cli`; anything else says nothing."""
_AGENT: Final = "pager-cli/"
"""How the User-Agent of `pager` begins."""


class Client(StrEnum):
    PUSH = "push"
    """The button of a page on a phone, without the app."""
    APP = "app"
    WEB = "web"
    CLI = "cli"
    API_KEY = "api_key"
    MACHINE = "machine"
    """A sender of alerts, or a service of ours."""

    @classmethod
    def read(cls, text: str | None) -> Client | None:
        """One of them in its one spelling; None for anything else."""
        return next((one for one in cls if one == text), None)


_SAID: Final = frozenset({Client.PUSH, Client.APP, Client.WEB, Client.CLI})


def client_of(
    declared: str | None, agent: str | None, *, by_key: bool = False, by_device: bool = False, is_web: bool = False
) -> Client | None:
    """What a request comes from; None: it has not said.

    `by_key`, `by_device`, `is_web`: it has shown an API key, a phone's own credential, a browser's session.
    """
    said = Client.read(declared)
    if said not in _SAID:
        said = Client.CLI if (agent or "").startswith(_AGENT) else None
    if by_key:
        return Client.CLI if said is Client.CLI else Client.API_KEY
    if by_device:
        return Client.APP if said is Client.APP else Client.PUSH
    if is_web:
        return Client.WEB
    return said
