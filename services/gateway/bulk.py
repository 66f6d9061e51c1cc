"""One change to many incidents: a few single commands at a time, each as if it had come alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final
from uuid import UUID

from pydantic import ValidationError

from libs.contracts.faults import first_fault
from libs.contracts.incident_bulk import BulkBody, BulkError, BulkResult
from libs.contracts.subjects import Header
from services.gateway.envelope import Problem
from services.gateway.forwarding import Ask

_AT_ONCE: Final = 4
"""Commands of one bulk: what somebody acknowledges meanwhile finds the service free."""
_ALTOGETHER: Final = 12
"""Of all bulks that are under way here."""
_SECONDS: Final = 20.0
"""After which nothing more is begun: whoever asks waits no longer."""
_NOT_TRIED: Final = BulkError(code="UNAVAILABLE", message="not tried: send it again with the same Idempotency-Key")
_ANY: Final = UUID(int=0)
_NO_ID: Final = BulkError(code="VALIDATION_ERROR", message="must be a UUID")


@dataclass
class Bulks:
    """Those of this replica."""

    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_ALTOGETHER))

    async def change(self, ask: Ask, body: BulkBody) -> list[BulkResult]:
        """What became of each, in the order given.

        Raises:
            Problem: it does not go with the action; they see no incidents; or the key was used for another bulk.
        """
        headers = dict(ask.headers)
        try:
            body.request(_ANY)
        except ValidationError as error:
            field, sentence = first_fault(error.errors(include_url=False, include_input=False))
            raise Problem.invalid(field, sentence) from None
        # Also without a key: a bulk has no version, so whoever names one is refused as a whole.
        await ask.command("incidents", "begin_bulk", body, repeatable=True)
        headers.pop(Header.IF_MATCH, None)
        key = headers.pop(Header.IDEMPOTENCY_KEY, None)
        wanted = body.distinct()
        bulk = _Bulk(replace(ask, headers=headers), body, key, iter(wanted.items()))
        await asyncio.gather(*(bulk.work(self.places) for _ in range(min(_AT_ONCE, len(wanted)))))
        return [BulkResult(id=text, ok=text not in bulk.errors, error=bulk.errors.get(text)) for text in wanted]


@dataclass
class _Bulk:
    """One that is under way."""

    ask: Ask
    body: BulkBody
    key: str | None
    waiting: Iterator[tuple[str, UUID | None]]
    errors: dict[str, BulkError] = field(default_factory=dict)
    until: float = field(default_factory=lambda: monotonic() + _SECONDS)
    away: bool = False
    """Whether the service did not answer: it is not asked a hundred times to find that out."""

    async def work(self, places: asyncio.Semaphore) -> None:
        for text, incident_id in self.waiting:
            if incident_id is None:
                self.errors[text] = _NO_ID
                continue
            async with places:
                error = _NOT_TRIED if self.away or monotonic() > self.until else await self._one(incident_id)
            if error is not None:
                self.errors[text] = error

    async def _one(self, incident_id: UUID) -> BulkError | None:
        request = self.body.request(incident_id)
        headers = dict(self.ask.headers)
        if self.key is not None:
            headers[Header.IDEMPOTENCY_KEY] = _key_of(self.key, incident_id)
        try:
            asking = replace(self.ask, headers=headers)
            await asking.command("incidents", str(self.body.action), request, repeatable=True)
        except Problem as problem:
            self.away = self.away or problem.code == "UNAVAILABLE"
            return BulkError(code=problem.code, message=problem.message)
        return None


def _key_of(key: str, incident_id: UUID) -> str:
    return hashlib.sha256(f"bulk/{incident_id}/{key}".encode()).hexdigest()
