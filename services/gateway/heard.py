"""What admins decide in auth and every gateway keeps: asked for twice a second, so that it holds within a second."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar, Final, Generic, TypeVar

import structlog
from pydantic import ValidationError

from libs.chassis.consume.owner import NoRequest
from libs.contracts.model import Contract
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder

_log = structlog.get_logger()

A = TypeVar("A", bound=Contract)

_PAUSE: Final = 0.5
"""Seconds between two questions."""


class Heard(ABC, Generic[A]):
    """`run()` it. What auth said last holds while auth is away."""

    forwarder: Forwarder
    operation: ClassVar[str]
    """Of auth's, which answers an `answer`."""
    answer: type[A]

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.ask()
            await asyncio.sleep(_PAUSE)

    async def ask(self) -> None:
        try:
            reply = await self.forwarder.query("auth", self.operation, NoRequest(), {})
            if reply.ok:
                self.hear(self.answer.model_validate(reply.data))
        except (Problem, ValidationError) as error:
            _log.debug("auth has not said", operation=self.operation, reason=str(error))

    @abstractmethod
    def hear(self, said: A) -> None:
        """Keep what auth said."""
