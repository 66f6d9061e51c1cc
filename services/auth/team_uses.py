"""What needs a team that somebody wants to delete. Whoever owns that is asked: nobody waits for a page meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from libs.chassis.bus.connection import Bus
from libs.chassis.consume.arrival import Unreachable
from libs.contracts.requests import ById, Reply
from libs.contracts.subjects import QUESTIONS, rpc_subject
from libs.contracts.uses import UsesView

_PATIENCE = 2.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class TeamUses:
    """Asked and not followed: auth reads nobody's events, and a team is seldom deleted (docs/adr/0057)."""

    bus: Bus

    async def of(self, team_id: UUID) -> UsesView:
        """Everything that is a team's, or pages it.

        Raises:
            BusAway, Unreachable: one of those who may need it does not say.
        """
        answers = await asyncio.gather(*(self._asked(*question, team_id) for question in QUESTIONS["auth"]))
        return UsesView(
            uses=tuple(use for answer in answers for use in answer.uses), total=sum(answer.total for answer in answers)
        )

    async def _asked(self, service: str, operation: str, team_id: UUID) -> UsesView:
        raw = await self.bus.request(rpc_subject(service, operation), ById(id=team_id).to_json(), timeout=_PATIENCE)
        reply = Reply.model_validate_json(raw)
        if not reply.ok:
            raise Unreachable
        try:
            return UsesView.model_validate(reply.data)
        except ValidationError as error:
            raise Unreachable from error
