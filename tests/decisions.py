"""Decisions on a service's tables, to be held against the same ones on plain objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.store.log import EventLog
from libs.chassis.store.store import Store
from libs.chassis.store.work import Projector, Work
from libs.chassis.testing.clock import MovableClock
from libs.contracts.envelope import Envelope
from tests.servers import Servers


@asynccontextmanager
async def tables_of(service: str, servers: Servers, clock: MovableClock, project: Projector) -> AsyncIterator[Store]:
    """Its tables, new and empty, without the service around them."""
    async with servers.fresh() as database:
        url = servers.database_url(service, database)
        store = Store(url, service, clock=clock, projector=project, instance="a", role="work")
        yield store
        store.close()


def told(events: Iterable[Envelope[Any]], random: str) -> list[Envelope[Any]]:
    """By entity, and without the ids that every event gets at random; nor this optional field, which is random too."""
    plain = [event.model_copy(update={"id": UUID(int=0), random: None}) for event in events]
    return sorted(plain, key=lambda event: (event.entity, event.version))


def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the tables are asked for from now on: `rows` or `events`, as it is asked."""
    asked: list[str] = []
    fetch, load_many = Work.fetch, EventLog.load_many

    def fetched(self: Work, *query: Any, **parameters: Any) -> Any:
        asked.append("rows")
        return fetch(self, *query, **parameters)

    def loaded(self: EventLog, cursor: Any, entities: Any, shape: str | None = None) -> Any:
        asked.append("events")
        return load_many(self, cursor, entities, shape)

    monkeypatch.setattr(Work, "fetch", fetched)
    monkeypatch.setattr(EventLog, "load_many", loaded)
    return asked
