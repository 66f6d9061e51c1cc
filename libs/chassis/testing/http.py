"""Calling a gateway over HTTP."""

from __future__ import annotations

import aiohttp

_IDLE = 2
"""Seconds after which an idle connection is not used again: less than the gateway's five.

One that idled while this process ran other tests is given up by both in the same moment, and a request that is under
way then is reset.
"""


def session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(keepalive_timeout=_IDLE))
