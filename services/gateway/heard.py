"""What admins decide in auth and every gateway keeps: asked for twice a second, so that it holds within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from pydantic import ValidationError

from libs.chassis.consume.owner import NoRequest
from libs.contracts.doors import DoorsView
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder

_log = structlog.get_logger()

_PAUSE: Final = 0.5
"""Seconds between two questions."""


@dataclass
class Heard:
    """`run()` it. What auth said last holds while auth is away; one question is asked for all that keep something."""

    forwarder: Forwarder
    hearers: list[Callable[[DoorsView], None]] = field(default_factory=list)
    """Called with what auth says."""

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.ask()
            await asyncio.sleep(_PAUSE)

    async def ask(self) -> None:
        try:
            reply = await self.forwarder.query("auth", "doors", NoRequest(), {})
            if not reply.ok:
                return
            said = DoorsView.model_validate(reply.data)
        except (Problem, ValidationError) as error:
            _log.debug("auth has not said", reason=str(error))
            return
        for hear in self.hearers:
            hear(said)
