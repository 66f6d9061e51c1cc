"""The requests that every service answers: its log for upstream readers, what it parked, and its health."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from psycopg import Cursor

from libs.chassis.consume.owner import NoRequest
from libs.chassis.consume.parking import (
    Parked,
    ParkedKind,
    list_parked,
    load_parked,
    parked_ids,
    unpark,
    waits_behind,
)
from libs.chassis.consume.reader import StoredReader
from libs.chassis.requests.server import Requests
from libs.chassis.store.epochs import read_epochs
from libs.chassis.store.log import EventLog, LoggedEvent
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.health import Health
from libs.contracts.model import Contract
from libs.contracts.requests import (
    EventsPage,
    EventsQuery,
    NotFound,
    ParkedQuery,
    ParkedView,
    PositionView,
    ReplayParked,
    ReplayResult,
    StoredEventView,
)
from libs.contracts.subjects import is_private, lanes_of

_log = structlog.get_logger()
_PAGE_BYTES = 512 * 1024
"""An answer must stay below the server's limit of 1 MiB a message."""

Replay = Callable[[Work, Parked], None]
"""Handle a parked input again, in a transaction that also removes it."""


class ParkedPage(Contract):
    parked: tuple[ParkedView, ...]


def add_log_operations(requests: Requests, store: Store) -> None:
    """`events`, `public_events` and `position`: the bus says who may ask; consumers hold no access token."""
    lanes = lanes_of(requests.service)

    @requests.handle("events", EventsQuery, public=True)
    async def events(query: EventsQuery, _caller: None) -> EventsPage:
        return await page_of(query, lambda event: event.raw.decode())

    @requests.handle("public_events", EventsQuery, public=True)
    async def public_events(query: EventsQuery, _caller: None) -> EventsPage:
        return await page_of(query, lambda event: "" if is_private(event.type) else event.raw.decode())

    async def page_of(query: EventsQuery, told: Callable[[LoggedEvent], str]) -> EventsPage:
        def read(log: EventLog, cursor: Cursor[Any]) -> EventsPage:
            last, epochs = log.last_position(cursor, query.lane), read_epochs(cursor.connection, requests.service)
            epoch, shared = epochs.current, epochs.shared(query.epoch)
            if query.epoch != epoch.number:
                after = epoch.after if shared is None else shared
                return EventsPage(epoch=epoch.number, epoch_after=after, last=last)
            page: list[StoredEventView] = []
            size, previous = 0, query.after
            for event in log.read_lane(cursor, query.lane, query.after, min(query.limit, 1000), _PAGE_BYTES):
                size += len(event.raw)
                if page and size > _PAGE_BYTES:
                    break
                page.append(
                    StoredEventView(position=event.position, previous=previous, type=event.type, raw=told(event))
                )
                previous = event.position
            if read_epochs(cursor.connection, requests.service).current != epoch:
                page = []  # one has begun in between: nobody may take these for events of the one before
            return EventsPage(epoch=epoch.number, epoch_after=epoch.after, last=last, events=tuple(page))

        return await store.log_read(read)

    @requests.handle("position", NoRequest, public=True)
    async def position(_query: NoRequest, _caller: None) -> PositionView:
        def read(log: EventLog, cursor: Cursor[Any]) -> PositionView:
            epoch = read_epochs(cursor.connection, requests.service).current
            ends = {lane: log.last_position(cursor, lane) for lane in lanes}
            return PositionView(epoch=epoch.number, epoch_after=epoch.after, lanes=ends)

        return await store.log_read(read)


def add_parked_operations(requests: Requests, store: Store, readers: Sequence[StoredReader]) -> None:
    """`parked` and `replay`, for operators (`pager parked list|replay`)."""
    replays = {reader.upstream: reader.replay for reader in readers}

    @requests.query("parked", ParkedQuery, public=True)
    def parked(work: Work, query: ParkedQuery, _caller: None) -> ParkedPage:
        return ParkedPage(parked=tuple(list_parked(work, requests.service, query.after, query.limit)))

    @requests.handle("replay", ReplayParked, public=True)
    async def replay(query: ReplayParked, _caller: None) -> ReplayResult:
        everything = await store.read(lambda work: parked_ids(work, requests.service))
        ids = everything if query.id is None else [i for i in everything if i == query.id]
        if query.id is not None and not ids:
            raise NotFound(f"nothing is parked under {query.id}", field="id")
        done = 0
        while ids:
            for parked_id in ids:
                done += await _replay_one(store, requests.service, replays, parked_id)
            # What came to wait behind these while they were tried; what waits behind nothing parks no more.
            newest = max(everything)
            everything = await store.read(lambda work: parked_ids(work, requests.service))
            late = await store.read(lambda work: parked_ids(work, requests.service, ParkedKind.WAITING))
            ids = [i for i in late if query.id is None and i > newest]
        return ReplayResult(replayed=done, still_parked=len(everything))


async def _replay_one(store: Store, service: str, replays: Mapping[str, Replay], parked_id: int) -> int:
    """1 when it went through; an entity whose earlier input is parked still keeps its later ones waiting."""

    def run(work: Work) -> int:
        parked = load_parked(work, service, parked_id)
        if parked is None or waits_behind(work, service, parked):
            return 0
        unpark(work, service, parked_id)
        replays[parked.upstream](work, parked)
        return 1

    try:
        return (await store.transact(run)).result
    except Exception:  # noqa: BLE001 - it failed again: it stays parked, with what waits behind it
        _log.warning("replay failed", service=service, parked=parked_id, exc_info=True)
        return 0


def add_health_operation(requests: Requests, health: Callable[[], Awaitable[Health]]) -> None:
    @requests.handle("health", NoRequest, public=True)
    async def answer(_query: NoRequest, _caller: None) -> Health:
        return await health()
