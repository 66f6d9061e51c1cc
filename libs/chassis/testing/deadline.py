"""How long a test waits for what really happens: until a deadline that only a failure meets. It measures no time."""

from __future__ import annotations

import asyncio

DEADLINE = 40.0
"""Seconds after which what a test waits for will not come any more, however busy the machine."""


def in_time() -> asyncio.Timeout:
    """`async with in_time(): …` fails when what is inside has not happened by the deadline."""
    return asyncio.timeout(DEADLINE)
